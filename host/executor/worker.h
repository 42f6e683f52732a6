/* A worker: one thread that runs the jobs of a pool, one at a time, in its own runtime, the
   worker's state. The thread is worker.c, the state worker_state.c, a job worker_job.c. */
#ifndef ML_WORKER_H
#define ML_WORKER_H

#include "base/thread_usage.h"
#include "core/interrupt.h"
#include "executor/memory_limit.h"
#include "executor/pool.h"

#include <semaphore.h>
#include <time.h>

/* What its thread is doing; for an idle worker, how it waits and so how it is woken. */
typedef enum WorkerState {
  WORKER_BUSY,
  WORKER_SPINNING, /* polls `job` for a moment */
  WORKER_SLEEPING, /* waits for `wake` */
  WORKER_LOOPING,  /* runs its loop for tasks left by earlier jobs */
  WORKER_LEAVING,  /* takes no more jobs */
  WORKER_LEFT,     /* its thread can be joined */
  WORKER_JOINED,   /* has none */
} WorkerState;

struct Worker {
  Pool *pool;
  uv_thread_t thread;
  sem_t wake;
  _Atomic(Job *) job; /* set under the lock while it is idle */

  /* under the pool's lock */
  Worker *next_idle;
  uint8_t state; /* a WorkerState */
  bool has_async;
  uv_async_t async;  /* wakes its loop */
  WorkerStats stats; /* CPU time of threads that have left */
  bool has_clock;    /* the thread lives, and the next two are set */
  clockid_t clock;   /* counts its CPU time */
  pid_t thread_id;

  ThreadUsage usage; /* the owner's thread only: what the last look found */

  atomic_int cpu;    /* core on which it took its last job */
  atomic_bool abort; /* the pool is being torn down: everything must end */

  /* its own thread only */
  Runtime *rt; /* the state, or NULL: it is made when a job needs it */
  MemoryLimit memory;
  Interrupt interrupt;
  TaskOwner owner;
  Task *task;          /* the task of the job or the start-up code, while it runs */
  bool initialized;    /* the start-up code has run in this state */
  bool broken;         /* this state must be replaced */
  uint64_t state_jobs; /* that this state has run */
  unsigned path_set;   /* pool->path_set when the state got the paths that it has */
};

/* Starts a thread that takes `job` first, which is not in the queue. Returns 0 or a libuv error, in
   which case the job is unchanged. The pool's lock is held. */
int worker_start(Pool *pool, Job *job);

/* Wakes an idle worker, which has a job or should leave. The lock is held. */
void worker_wake(Worker *w);

/* Makes a sleeping worker leave. The lock is held. */
void worker_dismiss(Worker *w);

/* Makes the worker check at once whether its job was cancelled; Lua code is interrupted. Must be
   repeated until the job has ended, since a signal may come just before a coroutine is resumed.
   Does nothing if its thread has left. The lock is held. */
void worker_interrupt(Worker *w);

/* Waits for the thread, if there is one, which has left or is about to. The pool frees the worker.
   The lock is not held. */
void worker_join(Worker *w);

/* --- on the worker's thread --- */

/* Makes the state. False when there is no memory for it. */
bool worker_state_open(Worker *w);

/* Makes the next job in the state find modules where the owner does now. */
void worker_state_update_paths(Worker *w);

/* Cancels the remaining tasks of the state, for `reason`, and closes it. */
void worker_state_close(Worker *w, const char *reason);

/* Must the state be replaced before the next job? */
bool worker_state_is_worn(const Worker *w);

/* Runs a job to its end and leaves its outcome in it. */
void worker_job_run(Worker *w, Job *job);

/* Adds the interrupt for its tasks to the state that is being opened. */
void worker_job_add_interrupt(Worker *w);

/* Cancels the tasks that must end, from the worker's loop. */
void worker_job_check_cancel(Worker *w);

#endif
