/* A worker: one thread that runs the jobs of a pool, one at a time, in a runtime of its own, the
   worker's state. The thread is worker.c, the state worker_state.c, a job worker_job.c. */
#ifndef ML_WORKER_H
#define ML_WORKER_H

#include "executor.h"
#include "interrupt.h"
#include "memory_limit.h"
#include "thread_usage.h"

#include <semaphore.h>
#include <time.h>

/* What its thread does; of an idle worker how it waits, and so how it is woken. */
typedef enum WorkerState {
  WORKER_BUSY,
  WORKER_SPINNING, /* looks at `job` for a moment */
  WORKER_SLEEPING, /* waits for `wake` */
  WORKER_LOOPING,  /* runs its loop, for tasks that earlier jobs have left there */
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
  WorkerStats stats; /* CPU time: of threads that have left */
  bool has_clock;    /* the thread lives, and the next two are set */
  clockid_t clock;   /* counts its CPU time */
  pid_t thread_id;

  ThreadUsage usage; /* the owner's thread only: what the last look found */

  atomic_int cpu;    /* where it ran when it took its last job */
  atomic_bool abort; /* the pool is being torn down: everything is to end */

  /* its own thread only */
  Runtime *rt; /* the state, or NULL: it is made when a job needs it */
  MemoryLimit memory;
  Interrupt interrupt;
  TaskOwner owner;
  Task *task;          /* the job's, or the start-up code's, while it runs */
  bool initialized;    /* the start-up code has run in this state */
  bool broken;         /* this state is to be replaced */
  uint64_t state_jobs; /* that this state has run */
};

/* Starts a thread that takes `job` first, which is not in the queue. 0 or a libuv error; then the
   job is as it was. The pool's lock is held. */
int worker_start(Pool *pool, Job *job);

/* Wakes an idle worker, which has a job or should leave. The lock is held. */
void worker_wake(Worker *w);

/* A worker that sleeps is to leave. The lock is held. */
void worker_dismiss(Worker *w);

/* The worker looks at once whether what it runs was cancelled; Lua code is interrupted. To be
   repeated until the job has ended: a signal may come just before a coroutine is resumed. Nothing
   happens when its thread has left. The lock is held. */
void worker_interrupt(Worker *w);

/* Waits for the thread, which has left or is about to, if there is one. The worker is the pool's to
   free. The lock is not held. */
void worker_join(Worker *w);

/* --- on the worker's thread --- */

/* Makes the state. False when there is no memory for it. */
bool worker_state_open(Worker *w);

/* Cancels what is left in the state, for `reason`, and closes it. */
void worker_state_close(Worker *w, const char *reason);

/* Is the state to be replaced before the next job? */
bool worker_state_is_worn(const Worker *w);

/* Runs a job to its end and leaves its outcome in it. */
void worker_run_job(Worker *w, Job *job);

/* What interrupts its tasks, for the state that is being opened. */
void worker_job_add_interrupt(Worker *w);

/* Cancels what is to end, from the worker's loop. */
void worker_job_check_cancel(Worker *w);

#endif
