#include "core/scheduler.h"

#include "base/hash.h"
#include "core/give_back.h"
#include "core/report.h"
#include "core/task.h"
#include "core/task_limits.h"
#include "core/watchdog.h"

#include <stdlib.h>

char scheduler_yields;

void scheduler_open(Scheduler *scheduler) {
  scheduler->ready.tail = &scheduler->ready.head;
  scheduler->preempted.tail = &scheduler->preempted.head;
}

void scheduler_shuffle(Scheduler *scheduler, uint64_t seed) {
  /* Similar seeds give very different orders. */
  scheduler->shuffle = hash_mix(seed + 0x9E3779B97F4A7C15u) | 1;
}

void scheduler_shuffle_no_more(Scheduler *scheduler) { scheduler->shuffle = 0; }

/* Read by the watchdog; only this thread writes it. */
static inline void take_step(Runtime *rt) {
  uint32_t step = atomic_load_explicit(&rt->scheduler.step, memory_order_relaxed);
  atomic_store_explicit(&rt->scheduler.step, step + 1, memory_order_release);
}

static void stretch_over(Runtime *rt, Task *t) {
  rt->scheduler.attention = false;
  if (t->limits) task_limits_leave(rt, t);
  if (rt->watched.watchdog) watchdog_stretch_over(rt->watched.watchdog, t);
}

/* The only place where tasks run. */
static void resume(Runtime *rt, Task *t) {
  lua_State *co = t->co;
  int nargs = t->status == TASK_PENDING ? t->nargs : 0;
  t->ready = false;
  t->status = TASK_RUNNING;
  rt->scheduler.current = t;
  rt->scheduler.running = co;
  take_step(rt);
  if (t->limits) task_limits_enter(rt, t);
  int rc = lua_resume(co, rt->L, nargs, &t->nargs);
  take_step(rt);
  rt->scheduler.current = NULL;
  rt->scheduler.running = NULL;
  if (rt->scheduler.attention) stretch_over(rt, t);
  if (rc == LUA_YIELD && rt->scheduler.suspending) {
    rt->scheduler.suspending = false;
    return;
  }
  rt->scheduler.suspending = false;
  task_returned(t, rc);
}

/* The next random number (xorshift64*, whose state is never 0). */
static uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545F4914F6CDD1Du >> 16;
}

/* Moves those ready tasks that only yield, or those that do not, to `tasks` in a random order. */
static size_t pick_ready(Runtime *rt, bool yielding, Task **tasks) {
  size_t n = 0;
  for (Task *t = rt->scheduler.ready.head; t; t = t->next) {
    if ((t->status != TASK_PENDING && t->wait && t->op == &scheduler_yields) != yielding) continue;
    size_t other = (size_t)(next_random(&rt->scheduler.shuffle) % (n + 1));
    tasks[n++] = tasks[other];
    tasks[other] = t;
  }
  return n;
}

/* Shuffles the ready tasks; keeps their order if memory is out. */
static void shuffle_ready(Runtime *rt) {
  size_t n = 0;
  for (Task *t = rt->scheduler.ready.head; t; t = t->next) n++;
  Task **tasks = n > 1 ? malloc(n * sizeof(Task *)) : NULL;
  if (!tasks) return;
  n = pick_ready(rt, false, tasks);
  n += pick_ready(rt, true, tasks + n);
  rt->scheduler.ready.tail = &rt->scheduler.ready.head;
  for (size_t i = 0; i < n; i++) task_list_push(&rt->scheduler.ready, tasks[i]);
  free(tasks);
}

void scheduler_preempt(lua_State *L, Task *t) {
  Runtime *rt = t->rt;
  t->status = TASK_SUSPENDED;
  t->ready = true;
  task_list_push(&rt->scheduler.preempted, t);
  rt->scheduler.suspending = true;
  lua_yield(L, 0);
}

/* The next preempted task gets a pass to itself, after a pass of all the others: what they have
   done, such as responses, is written first, and no task waits for more than one slice. */
static void readmit(Runtime *rt) {
  Task *t = rt->scheduler.preempted.head;
  rt->scheduler.preempted_turn = false;
  rt->scheduler.preempted.head = t->next;
  if (!t->next) rt->scheduler.preempted.tail = &rt->scheduler.preempted.head;
  t->next = NULL;
  rt->scheduler.batch.head = t;
  rt->scheduler.batch.tail = &t->next;
}

void scheduler_run_ready(Runtime *rt) {
  if (rt->pass_at >= rt->give_back.at) give_back_look(rt);
  if (rt->scheduler.preempted.head && (rt->scheduler.preempted_turn || !rt->scheduler.ready.head)) {
    readmit(rt);
  } else if (rt->scheduler.ready.head) {
    if (rt->scheduler.shuffle) shuffle_ready(rt);
    rt->scheduler.batch.head = rt->scheduler.ready.head;
    rt->scheduler.batch.tail = rt->scheduler.ready.tail;
    rt->scheduler.ready.head = NULL;
    rt->scheduler.ready.tail = &rt->scheduler.ready.head;
    rt->scheduler.preempted_turn = true;
  }
  if (rt->scheduler.batch.head) {
    if (atomic_load_explicit(&rt->watched.watchdog_asleep, memory_order_relaxed))
      watchdog_wake(rt->watched.watchdog);
    while (rt->scheduler.batch.head) {
      Task *t = rt->scheduler.batch.head;
      rt->scheduler.batch.head = t->next;
      if (t->next) {
        task_prefetch_thread(t->next);
        prefetch(t->next->next, offsetof(Task, parent));
      } else {
        rt->scheduler.batch.tail = &rt->scheduler.batch.head;
      }
      resume(rt, t);
    }
    rt->scheduler.batch.tail = NULL;
  } else if (rt->give_back.works) {
    give_back_step(rt);
  }
  if (rt->reports.due) report_flush(rt, false);
}
