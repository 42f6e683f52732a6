#include "test/time_limit.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/task_limits.h"
#include "inspect/dump.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
/* Time between two steps against work that does not end. */
#define GRACE_MS 5000
/* How often code that computes is interrupted once its time is over. */
#define PERIOD_NS 100000000ull
/* Time that the thread may compute to handle the error of a wait (busted finds the line then),
   until that begins. */
#define HANDLING_NS 2000000000ull
/* How often it may catch the error. */
#define MAX_STEPS 50
/* Instructions until the next try where the host's own Lua code runs. */
#define RETRY_HOST 20

/* --- messages --- */

/* Appends the live tasks, if the limited one is not the only one. */
static bool add_tasks(TimeLimit *limit, Buffer *text) {
  if (limit->rt->tasks.live < 2) return true;
  size_t start = text->len;
  if (!buffer_add_char(text, '\n') || !dump_tasks(limit->rt, false, text)) return false;
  char *first = text->data + start, *end = memchr(first + 1, '\n', text->len - start - 1);
  if (end) { /* the first line is about the process */
    memmove(first, end, (size_t)(text->data + text->len - end));
    text->len -= (size_t)(end - first);
  }
  while (text->data[text->len - 1] == '\n') text->len--;
  return true;
}

/* Sets what the error says from now on. */
static void describe(TimeLimit *limit, const char *end) {
  Task *t = limit->scope.task;
  Buffer text = {0};
  char headline[400], waits[200];
  if (dump_waiting_for(t, waits, sizeof waits))
    snprintf(headline, sizeof headline, "%s %s: it waits for %s", limit->what, end, waits);
  else
    snprintf(headline, sizeof headline, "%s %s: it computes", limit->what, end);
  if (buffer_printf(&text, "%s", headline) && add_tasks(limit, &text))
    cause_set_message(limit->cause, text.data, text.len);
  else
    cause_set_message(limit->cause, headline, strlen(headline));
  buffer_free(&text);
}

/* --- the steps --- */

/* The first step: the error is raised at the current wait, and at each wait from now on. */
static void expire(TimeLimit *limit, const char *end) {
  describe(limit, end);
  limit->steps++;
  limit->look_at_cpu = clock_thread_cpu() + HANDLING_NS;
  scope_cancel(&limit->scope, cause_hold(limit->cause));
}

static void expire_in_time(TimeLimit *limit) {
  char end[60];
  snprintf(end, sizeof end, "has not ended after %g s", limit->seconds);
  expire(limit, end);
}

/* Shielded work has had its time. */
static void break_shields(TimeLimit *limit) {
  Task *t = limit->scope.task;
  for (Scope *s = t->scope; s && s != &limit->scope; s = s->outer) s->shield = false;
  task_interrupt(t);
}

static void give_up(TimeLimit *limit) {
  report_sayf(limit->rt, LOG_ERROR, "%s does not end, though its time is over: the run ends here",
              limit->name);
  if (!limit->rt->exit.under_way) limit->rt->exit.code = 1;
  limit->rt->exit.under_way = true;
}

/* --- code that waits --- */

static void on_timer(uv_timer_t *timer) {
  TimeLimit *limit = timer->data;
  if (limit->steps == 0) {
    expire_in_time(limit);
  } else if (!uv_timer_get_repeat(timer)) {
    break_shields(limit);
    uv_timer_set_repeat(timer, GRACE_MS);
  } else {
    give_up(limit);
    return;
  }
  uv_timer_start(timer, on_timer, GRACE_MS, uv_timer_get_repeat(timer));
}

/* Nothing is left that could wake the task. */
static bool on_stuck(StuckHook *hook, Runtime *rt) {
  TimeLimit *limit = container_of(hook, TimeLimit, on_stuck);
  if (!limit->scope.task) return false;
  if (limit->steps == 0) expire(limit, "can never end");
  if (!rt->scheduler.ready.head) break_shields(limit);
  return rt->scheduler.ready.head != NULL;
}

/* --- code that computes --- */

static void set_kernel_timer(TimeLimit *limit, double seconds) {
  if (!limit->has_kernel_timer) return;
  struct itimerspec spec = {0};
  if (seconds < 1e9) {
    spec.it_value.tv_sec = (time_t)seconds;
    spec.it_value.tv_nsec = (long)((seconds - floor(seconds)) * 1e9) + 1;
    spec.it_interval.tv_nsec = PERIOD_NS;
  }
  timer_settime(limit->kernel_timer, 0, &spec, NULL);
}

static bool time_limit_wanted(Interrupt *interrupt, Runtime *rt) {
  (void)rt;
  const TimeLimit *limit = container_of(interrupt, TimeLimit, interrupt);
  return limit->scope.task && uv_hrtime() >= limit->look_at &&
         clock_thread_cpu() >= limit->look_at_cpu;
}

/* A task other than the limited one is cancelled: that is not a failure, and cannot be caught. */
static void raise_in(lua_State *L, TimeLimit *limit, Task *t) {
  CancelCause *cause = NULL;
  if (t != limit->scope.task) {
    CancelCause *over = cause_new(limit->rt, "the time of the test that it is a part of is over");
    if (over) task_cancel(t, over);
    cause_drop(over);
    cause = scope_pending(t); /* none inside a shield */
  }
  cause_push_error(L, cause ? cause : limit->cause);
  lua_error(L);
}

static void time_limit_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  TimeLimit *limit = container_of(interrupt, TimeLimit, interrupt);
  uint64_t now = uv_hrtime();
  if (!time_limit_wanted(interrupt, limit->rt) || !limit->rt->scheduler.current) return;
  if (lua_getinfo(L, "S", ar) && script_place_is_host(ar)) {
    interrupt_arm(L, RETRY_HOST);
    return;
  }
  if (limit->steps == 0)
    expire_in_time(limit);
  else if (++limit->steps == MAX_STEPS)
    give_up(limit);
  limit->look_at = now + PERIOD_NS; /* the handler of this error is not interrupted */
  limit->look_at_cpu = 0;
  if (limit->steps >= MAX_STEPS) task_limits_break_off(L, limit->seconds);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  raise_in(L, limit, limit->rt->scheduler.current);
}

/* --- lifetime --- */

static void forget(uv_handle_t *timer) { free(timer->data); }

static void close_limit(CloseHook *hook, Runtime *rt) {
  TimeLimit *limit = container_of(hook, TimeLimit, on_close);
  time_limit_leave(limit);
  interrupt_remove(rt, &limit->interrupt);
  rt->stuck_hook = NULL;
  if (limit->has_kernel_timer) timer_delete(limit->kernel_timer);
  uv_close((uv_handle_t *)&limit->timer, forget);
}

TimeLimit *time_limit_new(Runtime *rt) {
  TimeLimit *limit = calloc(1, sizeof *limit);
  if (!limit) return NULL;
  limit->rt = rt;
  limit->on_close.close = close_limit;
  limit->on_stuck.stuck = on_stuck;
  limit->interrupt = (Interrupt){NULL, time_limit_wanted, time_limit_act};
  uv_timer_init(&rt->loop, &limit->timer);
  /* A task that waits for nothing else must be noticed at once. */
  uv_unref((uv_handle_t *)&limit->timer);
  limit->timer.data = limit;
  limit->has_kernel_timer = interrupt_timer_new(&limit->kernel_timer);
  interrupt_add(rt, &limit->interrupt);
  rt->stuck_hook = &limit->on_stuck;
  ml_runtime_on_close(rt, &limit->on_close);
  return limit;
}

/* The task has ended in the middle of the work. */
static void abandoned(Scope *scope, lua_State *L) {
  (void)L;
  time_limit_leave(container_of(scope, TimeLimit, scope));
}

bool time_limit_enter(TimeLimit *limit, Task *t, double seconds, const char *what,
                      const char *name) {
  time_limit_leave(limit);
  limit->cause = cause_new(limit->rt, NULL);
  if (!limit->cause) return false;
  limit->cause->deadline = seconds;
  limit->seconds = seconds;
  limit->steps = 0;
  limit->look_at_cpu = 0;
  snprintf(limit->what, sizeof limit->what, "%s", what);
  snprintf(limit->name, sizeof limit->name, "%s", name);
  double ns = seconds * (double)NS_PER_S;
  limit->look_at = ns < 9e18 ? uv_hrtime() + (uint64_t)ns : UINT64_MAX;
  scope_open(&limit->scope, t);
  limit->scope.abandoned = abandoned;
  if (ns < 9e18) {
    uv_update_time(&limit->rt->loop);
    uv_timer_start(&limit->timer, on_timer, (uint64_t)ceil(seconds * 1000), 0);
  }
  set_kernel_timer(limit, seconds);
  return true;
}

void time_limit_leave(TimeLimit *limit) {
  if (!limit->scope.task) return;
  set_kernel_timer(limit, HUGE_VAL);
  uv_timer_stop(&limit->timer);
  scope_close(&limit->scope);
  cause_drop(limit->cause);
  limit->cause = NULL;
}
