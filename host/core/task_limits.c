#include "core/task_limits.h"

#include "core/interrupt.h"
#include "core/scheduler.h"
#include "core/scope.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/traceback.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
/* Shorter timer periods cost more than they gain. */
#define MIN_PERIOD_NS 100000ull
/* How often the error is raised again once the grace is over, in coroutines without the hook. */
#define RAISE_PERIOD_NS 1000000ull
/* Instructions until the next try if a slice has ended but Lua cannot suspend, or while the host's
   own Lua code runs, which relies on not being preempted. */
#define RETRY_BARRIER 100
#define RETRY_HOST 20
/* Grace period for the host's own Lua code when the budget is used up. */
#define SPARE_HOST_NS 50000000ull

typedef struct Limiter {
  Interrupt interrupt;
  Runtime *rt;
  timer_t timer;
  pid_t timer_thread; /* the thread it signals; 0: there is no timer */
  volatile sig_atomic_t ticking;
  volatile uint64_t period;     /* of the ticking timer */
  volatile uint64_t started_at; /* the running stretch */
  volatile uint64_t cpu_at;     /* CPU time of this thread then */
} Limiter;

/* --- limits --- */

static uint64_t to_ns(double seconds) {
  return seconds <= 0 ? 0 : seconds >= 1e9 ? 0 : (uint64_t)(seconds * NS_PER_S) + 1;
}

/* Limits inside `outer` (or NULL), with one reference. `cpu` and `slice` are in seconds, 0 means
   none; the slice of `outer` applies if it is shorter. NULL if memory is out. */
static Limits *new_limits(Runtime *rt, Limits *outer, double cpu, double slice) {
  Limits *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->rt = rt;
  m->refs = 1;
  m->outer = outer ? task_limits_hold(outer) : NULL;
  m->error_ref = LUA_NOREF;
  m->cpu_ns = to_ns(cpu);
  m->slice_ns = to_ns(slice);
  if (outer && outer->slice_ns && (!m->slice_ns || outer->slice_ns < m->slice_ns))
    m->slice_ns = outer->slice_ns;
  return m;
}

Limits *task_limits_hold(Limits *m) {
  m->refs++;
  return m;
}

void task_limits_drop(Limits *m) {
  while (m && --m->refs == 0) {
    Limits *outer = m->outer;
    luaL_unref(m->rt->L, LUA_REGISTRYINDEX, m->error_ref);
    free(m);
    m = outer;
  }
}

void task_limits_set(Task *t, double cpu, double slice) {
  if (cpu <= 0 && slice <= 0) return;
  Limits *m = new_limits(t->rt, t->limits, cpu, slice);
  if (!m) return;              /* out of memory: uses the parent's limits */
  task_limits_drop(t->limits); /* held by `m` */
  t->limits = m;
}

/* Is CPU time counted? */
static bool has_budget(const Limits *m) {
  for (; m; m = m->outer)
    if (m->cpu_ns || m->exhausted) return true;
  return false;
}

/* The innermost one that is exhausted, or NULL. */
static Limits *exhausted(Limits *m) {
  while (m && !m->exhausted) m = m->outer;
  return m;
}

/* The rest of the smallest budget if the running stretch has used `used`; UINT64_MAX if there is no
   budget. */
static uint64_t budget_left(const Limits *m, uint64_t used) {
  uint64_t left = UINT64_MAX;
  for (; m; m = m->outer) {
    if (!m->cpu_ns) continue;
    uint64_t all = m->used_ns + used;
    uint64_t own = all >= m->cpu_ns ? 0 : m->cpu_ns - all;
    if (own < left) left = own;
  }
  return left;
}

/* --- the timer --- */

static void stop_ticking(Limiter *l) {
  struct itimerspec never = {0};
  l->ticking = false;
  timer_settime(l->timer, 0, &never, NULL);
}

/* Ticks after `first` (0: as soon as it can), then every `period`. Safe in the signal handler. */
static void tick(Limiter *l, uint64_t first, uint64_t period) {
  if (!l->timer_thread) return;
  if (first < MIN_PERIOD_NS) first = MIN_PERIOD_NS;
  if (period < MIN_PERIOD_NS) period = MIN_PERIOD_NS;
  struct itimerspec spec = {
      .it_value = {(time_t)(first / NS_PER_S), (long)(first % NS_PER_S)},
      .it_interval = {(time_t)(period / NS_PER_S), (long)(period % NS_PER_S)},
  };
  l->period = period;
  l->ticking = true;
  timer_settime(l->timer, 0, &spec, NULL);
}

/* The kernel's timer belongs to the thread that runs the loop now. */
static void make_timer(Limiter *l) {
  pid_t thread = gettid();
  if (l->timer_thread == thread) return;
  if (l->timer_thread) timer_delete(l->timer);
  l->timer_thread = interrupt_timer_new(&l->timer) ? thread : 0;
  l->ticking = false;
}

/* The time from now until the running stretch must be checked again. 0: at once. */
static uint64_t next_look(Limiter *l, const Limits *m) {
  uint64_t next = UINT64_MAX;
  if (has_budget(m)) next = budget_left(m, clock_thread_cpu() - l->cpu_at);
  if (m->slice_ns) {
    uint64_t run = uv_hrtime() - l->started_at;
    uint64_t slice = run >= m->slice_ns ? 0 : m->slice_ns - run;
    if (slice < next) next = slice;
  }
  return next;
}

void task_limits_enter(Runtime *rt, Task *t) {
  Limiter *l = rt->limiter;
  Limits *m = t->limits;
  scheduler_ask_attention(&rt->scheduler);
  l->started_at = uv_hrtime();
  if (has_budget(m)) l->cpu_at = clock_thread_cpu();
  if (exhausted(m)) {
    make_timer(l);
    interrupt_arm(t->co, 1);
    tick(l, RAISE_PERIOD_NS, RAISE_PERIOD_NS);
    return;
  }
  uint64_t period = m->slice_ns ? m->slice_ns : UINT64_MAX;
  uint64_t left = budget_left(m, 0);
  if (left < period) period = left;
  if (period == UINT64_MAX) return;
  if (period < MIN_PERIOD_NS) period = MIN_PERIOD_NS;
  make_timer(l);
  /* A timer that ticks often enough is not changed: it finds out what is due. */
  if (!l->ticking || l->period > period) tick(l, period, period);
}

void task_limits_leave(Runtime *rt, Task *t) {
  if (!has_budget(t->limits)) return;
  uint64_t used = clock_thread_cpu() - rt->limiter->cpu_at;
  for (Limits *m = t->limits; m; m = m->outer) m->used_ns += used;
}

static bool task_limits_wanted(Interrupt *interrupt, Runtime *rt) {
  Limiter *l = (Limiter *)interrupt;
  Task *t = rt->scheduler.current;
  if (!t || !t->limits) {
    if (l->ticking) stop_ticking(l);
    return false;
  }
  if (exhausted(t->limits)) return true;
  uint64_t next = next_look(l, t->limits);
  if (next == UINT64_MAX) return false;
  uint64_t period = t->limits->slice_ns ? t->limits->slice_ns : next;
  if (next > 0) tick(l, next, period);
  return next == 0;
}

/* --- interrupting --- */

/* Pushes the error object of `m`, made on first use. `seconds` of CPU time in one stretch, or 0 for
   the budget. */
static void push_error(lua_State *L, Limits *m, double seconds) {
  if (m->error_ref != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->error_ref);
    return;
  }
  if (seconds > 0)
    ml_error_push(L, "cpu", NULL, "more than %g s of CPU time without a suspension", seconds);
  else
    ml_error_push(L, "cpu", NULL, "more than %g s of CPU time", (double)(m->cpu_ns - 1) / NS_PER_S);
  lua_pushvalue(L, -1);
  m->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void break_off(lua_State *L, Task *t, Limits *m, double seconds) {
  Limiter *l = t->rt->limiter;
  uint64_t used = m->used_ns + clock_thread_cpu() - l->cpu_at;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (!t->broken_off) {
    t->broken_off = true;
    if (!m->raised_at) m->raised_at = used;
    tick(l, LIMITS_GRACE_NS, RAISE_PERIOD_NS);
    push_error(L, m, seconds);
    traceback_note(L, -1);
  } else if (used - m->raised_at < LIMITS_GRACE_NS) {
    tick(l, LIMITS_GRACE_NS - (used - m->raised_at), RAISE_PERIOD_NS);
    return;
  } else {
    interrupt_arm(L, 1);
    push_error(L, m, seconds);
  }
  lua_error(L);
}

void task_limits_break_off(lua_State *L, double seconds) {
  Runtime *rt = runtime_of(L);
  Task *t = rt->scheduler.current;
  Limits *m = new_limits(rt, t->limits, 0, 0);
  if (!m) return; /* out of memory; the watchdog does not ask again */
  if (!has_budget(t->limits)) rt->limiter->cpu_at = clock_thread_cpu();
  m->exhausted = true;
  task_limits_drop(t->limits); /* held by `m` */
  t->limits = m;
  t->broken_off = false;
  scheduler_ask_attention(&rt->scheduler);
  make_timer(rt->limiter);
  break_off(L, t, m, seconds);
}

bool task_limits_is_own_error(lua_State *L, int index) {
  Task *t = task_current(L);
  if (!t || !t->broken_off) return false;
  index = lua_absindex(L, index);
  for (Limits *m = t->limits; m; m = m->outer) {
    if (!m->exhausted || m->error_ref == LUA_NOREF) continue;
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->error_ref);
    bool same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    if (same) return true;
  }
  return false;
}

/* --- in the hook --- */

static bool is_hosts(lua_State *L, lua_Debug *ar) {
  return lua_getinfo(L, "S", ar) && script_place_is_host(ar);
}

/* The slice is over: suspends if possible, or tries again later. */
static void preempt(lua_State *L, lua_Debug *ar, Task *t) {
  Runtime *rt = t->rt;
  if (is_hosts(L, ar)) {
    interrupt_arm(L, RETRY_HOST);
  } else if (L != rt->scheduler.running || rt->scheduler.barrier || !lua_isyieldable(L)) {
    interrupt_arm(L, RETRY_BARRIER);
  } else if (t->cancel_pending) { /* as at any other suspension */
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    cause_push_error(L, scope_pending(t));
    lua_error(L);
  } else if (interrupt_may_yield(L, ar)) {
    scheduler_preempt(L, t);
  }
}

static void task_limits_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  Limiter *l = (Limiter *)interrupt;
  Task *t = l->rt->scheduler.current;
  if (!t || !t->limits) return;
  uint64_t over = 0;
  Limits *m = exhausted(t->limits);
  if (!m && has_budget(t->limits)) {
    uint64_t used = clock_thread_cpu() - l->cpu_at;
    for (Limits *at = t->limits; at; at = at->outer) {
      if (!at->cpu_ns || at->used_ns + used < at->cpu_ns) continue;
      over = at->used_ns + used - at->cpu_ns;
      if (over < SPARE_HOST_NS && is_hosts(L, ar)) {
        interrupt_arm(L, RETRY_HOST);
        return;
      }
      at->exhausted = true;
      m = at;
    }
  }
  if (m)
    break_off(L, t, m, 0);
  else if (t->limits->slice_ns && uv_hrtime() - l->started_at >= t->limits->slice_ns)
    preempt(L, ar, t);
}

bool task_limits_open(Runtime *rt) {
  Limiter *l = calloc(1, sizeof *l);
  if (!l) return false;
  l->rt = rt;
  l->interrupt = (Interrupt){NULL, task_limits_wanted, task_limits_act};
  rt->limiter = l;
  interrupt_add(rt, &l->interrupt);
  return true;
}

void task_limits_close(Runtime *rt) {
  Limiter *l = rt->limiter;
  if (!l) return;
  interrupt_remove(rt, &l->interrupt);
  if (l->timer_thread) timer_delete(l->timer);
  rt->limiter = NULL;
  free(l);
}
