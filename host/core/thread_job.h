/* Work that blocks or computes for long, done on libuv's thread pool while a task waits for it. */
#ifndef ML_THREAD_JOB_H
#define ML_THREAD_JOB_H

#include "core/task.h"
#include <stdatomic.h>

/* The head of a job, which owns everything it works on: a cancelled task continues at once, and the
   job ends without it. */
typedef struct ThreadJob {
  uv_work_t work;
  Waker waker;
  atomic_bool abandoned; /* nobody waits for it now: `run` may stop early */
  /* Runs on a thread of the pool; must not use Lua or the runtime. */
  void (*run)(struct ThreadJob *job);
  /* Frees the job, on the loop's thread. */
  void (*drop)(struct ThreadJob *job);
} ThreadJob;

/* Starts the job, whose `run` and `drop` are set, and suspends the task `t` until it is done: then
   `type->finish` gets it and drops it. `type->cancel` is thread_job_cancel. */
int thread_job_suspend(lua_State *L, Task *t, const WaitType *type, ThreadJob *job);

/* Starts a job that nobody waits for; `drop` frees it when it is done. Returns 0 or a libuv error:
   then it has not been started. */
int thread_job_start_alone(Runtime *rt, ThreadJob *job);

/* The `cancel` of such a WaitType: the task continues at once, and the job is dropped when its
   thread is done with it. */
void thread_job_cancel(Task *t, void *job);

#endif
