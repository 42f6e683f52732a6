#include "core/runtime.h"

#include "core/added_module.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/observe.h"
#include "core/report.h"
#include "core/scheduler.h"
#include "core/task_label.h"
#include "core/task_limits.h"
#include "core/task_pool.h"
#include "core/virtual_clock.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The collector works in small steps (doc/limits.md says why it is not generational), and waits
 * until memory is this many percent of what the last cycle left. */
#define GC_PAUSE 300

/* While tasks are ready, events are polled after the first pass that ends this much later than the
   last poll: short passes need not pay for a poll each, and long ones do not delay it. */
#define POLL_EVERY_NS 50000

/* An error outside of any protected call: only memory errors can get here. */
static int l_on_panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "moonloop: fatal: %s\n", message ? message : "an error outside of a task");
  return 0; /* Lua aborts */
}

/* Protected: readies a new state. */
static int l_open(lua_State *L) {
  task_open(L);
  traceback_open(L);
  returned_error_open(L);
  luaL_openlibs(L);
  /* A cycle scans every suspended task's stack; with many tasks, fewer cycles are better. */
  lua_gc(L, LUA_GCINC, GC_PAUSE, 0, 0);
  error_open(L);
  Runtime *rt = runtime_of(L);
  if (rt->open) rt->open(L);
  return 0;
}

Runtime *runtime_new(void (*open)(lua_State *L)) {
  Runtime *rt = calloc(1, sizeof *rt);
  if (!rt) return NULL;
  scheduler_open(&rt->scheduler);
  if (uv_loop_init(&rt->loop) != 0) {
    free(rt);
    return NULL;
  }
  rt->loop.data = rt;
  rt->open = open;
  timer_heap_open(&rt->timers, &rt->loop);
  give_back_open(rt);
  rt->pass_at = runtime_now(rt);
  rt->L = lua_newstate(memory_alloc, &rt->memory);
  if (rt->L && task_limits_open(rt)) {
    lua_atpanic(rt->L, l_on_panic);
    lua_setwarnf(rt->L, report_warning, rt);
    STATE_WORD(rt->L) = (uintptr_t)rt;
    lua_pushcfunction(rt->L, l_open);
    if (lua_pcall(rt->L, 0, 0, 0) == LUA_OK) return rt;
    fprintf(stderr, "moonloop: %s\n", lua_tostring(rt->L, -1));
  }
  runtime_close(rt);
  return NULL;
}

bool runtime_run(Runtime *rt, bool (*done)(void *data), void *data) {
  if (rt->looping) return false;
  rt->looping = true;
  Runtime *before = interrupt_enter(rt);
  uint64_t polled_at = 0;
  rt->pass_at = runtime_now(rt);
  bool reached;
  for (;;) {
    scheduler_run_ready(rt);
    for (PassHook *hook; (hook = rt->pass_hooks);) {
      rt->pass_hooks = hook->next;
      hook->listed = false;
      hook->run(hook, rt);
    }
    if ((reached = done(data))) break;
    bool more = rt->scheduler.ready.head || rt->scheduler.preempted.head;
    if (more) {
      uint64_t now = uv_hrtime();
      rt->pass_at = clock_at(&rt->timers.clock, now);
      if (now - polled_at < POLL_EVERY_NS) continue;
      polled_at = now;
    }
    if (rt->timers.clock.is_virtual) {
      if (more || rt->give_back.works)
        uv_run(&rt->loop, UV_RUN_NOWAIT);
      else if (!virtual_clock_turn(rt))
        break;
      rt->pass_at = runtime_now(rt);
      rt->polled_at = uv_now(&rt->loop);
      continue;
    }
    timer_heap_arm(&rt->timers);
    if (more || (rt->give_back.works && uv_loop_alive(&rt->loop)))
      uv_run(&rt->loop, UV_RUN_NOWAIT);
    else if (uv_loop_alive(&rt->loop))
      uv_run(&rt->loop, UV_RUN_ONCE);
    else
      break;
    rt->polled_at = uv_now(&rt->loop);
    rt->pass_at = clock_at(&rt->timers.clock, rt->polled_at * 1000000);
  }
  interrupt_leave(before);
  rt->looping = false;
  return reached;
}

void runtime_not_at_pass_end(Runtime *rt, PassHook *hook) {
  if (!hook->listed) return;
  PassHook **link = &rt->pass_hooks;
  while (*link && *link != hook) link = &(*link)->next;
  if (*link) *link = hook->next;
  hook->listed = false;
}

typedef struct Grace {
  Runtime *rt;
  Timer timer;
  bool over;
  bool spares; /* those in the background */
} Grace;

static void grace_over(Timer *timer) { (container_of(timer, Grace, timer))->over = true; }

static bool grace_done(void *data) {
  Grace *grace = data;
  const Tasks *tasks = &grace->rt->tasks;
  return grace->over || tasks->live == (grace->spares ? tasks->background : 0);
}

/* Runs the loop until the tasks have ended, or for `seconds`. */
static void let_end(Grace *grace, double seconds) {
  Runtime *rt = grace->rt;
  timer_set(&rt->timers, &grace->timer, timer_due(runtime_now(rt), seconds), grace_over);
  runtime_run(rt, grace_done, grace);
  timer_clear(&rt->timers, &grace->timer);
}

static size_t cancel_tasks(Runtime *rt, const char *reason, double seconds, bool spares) {
  Grace grace = {.rt = rt, .spares = spares};
  if (grace_done(&grace)) return 0;
  CancelCause *cause = cause_new(rt, reason);
  if (!cause) return rt->tasks.live;
  for (Task *t = rt->tasks.roots; t; t = t->sibling)
    if (!spares || !t->is_background) task_cancel(t, cause);
  cause_drop(cause);
  let_end(&grace, seconds);
  return rt->tasks.live - (spares ? rt->tasks.background : 0);
}

size_t runtime_cancel_all(Runtime *rt, const char *reason, double grace) {
  return cancel_tasks(rt, reason, grace, true);
}

/* Lets the host's tasks in the background finish what they have to, then cancels them, too. */
static void end_background(Runtime *rt) {
  if (!rt->tasks.background) return;
  Grace grace = {.rt = rt};
  for (LastHook *hook = rt->last_hooks; hook; hook = hook->next) hook->last(hook, rt);
  let_end(&grace, RUNTIME_LAST_SECONDS);
}

/* Tasks that did not end: their operations must not outlive the loop. */
static void abandon_tasks(Runtime *rt) {
  CancelCause *cause = cause_new(rt, "the runtime is closing");
  if (!cause) return;
  report_sayf(rt, LOG_ERROR, "%zu task(s) did not end when they were cancelled", rt->tasks.live);
  for (Task *t = rt->tasks.roots; t;) {
    while (t->scope) scope_close(t->scope); /* a shield no longer protects it from the cancel */
    if (!t->cancelled) t->cancelled = cause_hold(cause);
    if (t->wait && !t->ready) t->wait->cancel(t, t->op);
    t->wait = NULL;
    t->generation++;
    if (t->children) {
      t = t->children;
      continue;
    }
    while (t && !t->sibling) t = t->parent;
    if (t) t = t->sibling;
  }
  for (Task *t = rt->tasks.roots; t;) {
    cause_drop(t->cancelled);
    cause_drop(t->left_cause);
    t->cancelled = t->left_cause = NULL;
    task_trace_replace(&t->trace, NULL);
    if (t->label) task_label_set(t, 0, NULL);
    if (t->children) {
      t = t->children;
      continue;
    }
    while (t && !t->sibling) t = t->parent;
    if (t) t = t->sibling;
  }
  cause_drop(cause);
}

int runtime_close(Runtime *rt) {
  if (rt->L) {
    static const char reason[] = "the runtime is closing";
    runtime_cancel_all(rt, reason, RUNTIME_CLEANUP_SECONDS);
    end_background(rt);
    if (cancel_tasks(rt, reason, RUNTIME_CLEANUP_SECONDS, false) > 0) abandon_tasks(rt);
    report_flush(rt, true);
  }
  rt->closing = true;
  for (CloseHook *hook; (hook = rt->close_hooks);) {
    rt->close_hooks = hook->next;
    hook->close(hook, rt);
  }
  timer_heap_close(&rt->timers);
  give_back_close(rt);
  uv_run(&rt->loop, UV_RUN_DEFAULT);
  if (rt->L) lua_close(rt->L);
  added_module_close(rt);
  task_limits_close(rt);
  uv_run(&rt->loop, UV_RUN_DEFAULT); /* handles closed by finalizers */
  int rc = uv_loop_close(&rt->loop);
  if (rc != 0) {
    fprintf(stderr, "moonloop: handles were left open at exit:\n");
    uv_print_all_handles(&rt->loop, stderr);
#ifdef ML_DEBUG
    abort();
#endif
  }
  if (rt->metrics) rt->free_metrics(rt->metrics);
  observe_close(rt);
  task_pool_close(rt);
  task_site_close(rt);
  memory_close(&rt->memory);
  free(rt);
  return rc;
}
