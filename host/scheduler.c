#include "scheduler.h"

#include "report.h"
#include "task_limits.h"
#include "task_pool.h"
#include "watchdog.h"

#include <stdlib.h>

char scheduler_yields;

/* Told to the watchdog: only this thread writes it. */
static inline void take_step(Runtime *rt) {
  uint32_t step = atomic_load_explicit(&rt->step, memory_order_relaxed);
  atomic_store_explicit(&rt->step, step + 1, memory_order_release);
}

static void stretch_over(Runtime *rt, Task *t) {
  rt->attention = false;
  if (t->limits) limits_leave(rt, t);
  if (rt->watchdog) watchdog_stretch_over(rt->watchdog);
}

/* The one place where tasks run. */
static void resume(Runtime *rt, Task *t) {
  lua_State *co = t->co;
  int nargs = t->status == TASK_PENDING ? t->nargs : 0, n;
  t->ready = false;
  t->status = TASK_RUNNING;
  rt->current = t;
  rt->running = co;
  take_step(rt);
  if (t->limits) limits_enter(rt, t);
  int rc = lua_resume(co, rt->L, nargs, &n);
  take_step(rt);
  rt->current = NULL;
  rt->running = NULL;
  if (rt->attention) stretch_over(rt, t);
  if (rc == LUA_YIELD && rt->suspending) {
    rt->suspending = false;
    return;
  }
  rt->suspending = false;
  task_returned(t, rc);
}

/* The next number of a generator whose state is never 0 (xorshift64*). */
static uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545F4914F6CDD1Du >> 16;
}

/* Moves the ready tasks that do, or do not, only yield to `tasks` in a random order. */
static size_t pick_ready(Runtime *rt, bool yielding, Task **tasks) {
  size_t n = 0;
  for (Task *t = rt->ready.head; t; t = t->next) {
    if ((t->status != TASK_PENDING && t->wait && t->op == &scheduler_yields) != yielding) continue;
    size_t other = (size_t)(next_random(&rt->shuffle) % (n + 1));
    tasks[n++] = tasks[other];
    tasks[other] = t;
  }
  return n;
}

/* Brings the ready tasks into a random order; leaves it when memory is out. */
static void shuffle_ready(Runtime *rt) {
  size_t n = 0;
  for (Task *t = rt->ready.head; t; t = t->next) n++;
  Task **tasks = n > 1 ? malloc(n * sizeof(Task *)) : NULL;
  if (!tasks) return;
  n = pick_ready(rt, false, tasks);
  n += pick_ready(rt, true, tasks + n);
  rt->ready.tail = &rt->ready.head;
  for (size_t i = 0; i < n; i++) task_list_push(&rt->ready, tasks[i]);
  free(tasks);
}

void scheduler_preempt(lua_State *L, Task *t) {
  Runtime *rt = t->rt;
  t->status = TASK_SUSPENDED;
  t->ready = true;
  task_list_push(&rt->preempted, t);
  rt->suspending = true;
  lua_yield(L, 0);
}

/* The next preempted task has a pass of its own, after one of all the others: what those have done
   in theirs, such as responses, is written before, and nobody waits for more than one slice. */
static void readmit(Runtime *rt) {
  Task *t = rt->preempted.head;
  rt->preempted_turn = false;
  rt->preempted.head = t->next;
  if (!t->next) rt->preempted.tail = &rt->preempted.head;
  t->next = NULL;
  rt->batch.head = t;
  rt->batch.tail = &t->next;
}

void scheduler_run_ready(Runtime *rt) {
  if (rt->pass_at >= rt->pool.trim_at) task_pool_trim(rt);
  if (rt->preempted.head && (rt->preempted_turn || !rt->ready.head)) {
    readmit(rt);
  } else if (rt->ready.head) {
    if (rt->shuffle) shuffle_ready(rt);
    rt->batch.head = rt->ready.head;
    rt->batch.tail = rt->ready.tail;
    rt->ready.head = NULL;
    rt->ready.tail = &rt->ready.head;
    rt->preempted_turn = true;
  }
  if (rt->batch.head) {
    if (atomic_load_explicit(&rt->watchdog_asleep, memory_order_relaxed))
      watchdog_wake(rt->watchdog);
    while (rt->batch.head) {
      Task *t = rt->batch.head;
      rt->batch.head = t->next;
      if (t->next) {
        task_prefetch_thread(t->next);
        prefetch(t->next->next, offsetof(Task, parent));
      } else {
        rt->batch.tail = &rt->batch.head;
      }
      resume(rt, t);
    }
    rt->batch.tail = NULL;
  } else if (rt->pool.cycles) {
    task_pool_collect(rt);
  }
  if (rt->reports_due) report_flush(rt, false);
}
