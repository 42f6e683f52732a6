/* A worker: one thread with its own runtime that runs the jobs of a pool, one at a time. */
#ifndef ML_WORKER_H
#define ML_WORKER_H

#include "executor.h"
#include "interrupt.h"

/* How an idle worker waits, and so how it is woken. */
typedef enum WorkerState {
  WORKER_BUSY,
  WORKER_SPINNING, /* looks at `job` for a moment */
  WORKER_SLEEPING, /* waits for `wake` */
  WORKER_LOOPING,  /* runs its loop, for tasks that earlier jobs have left there */
} WorkerState;

struct Worker {
  Pool *pool;
  uv_thread_t thread;
  uv_sem_t wake;
  _Atomic(Job *) job; /* set under the lock while it is idle */

  /* under the pool's lock */
  Worker *next_idle;
  uint8_t state; /* a WorkerState */
  bool has_async;
  uv_async_t async; /* wakes its loop */

  atomic_int cpu;    /* where it ran when it took its last job */
  atomic_bool abort; /* the pool is being torn down: everything is to end */

  /* its own thread only */
  Runtime *rt;
  Interrupt interrupt;
  TaskOwner owner;
  Task *task; /* the job's, while it runs */
};

/* Starts a thread with its first job. 0 or a libuv error. The pool's lock is held. */
int worker_start(Pool *pool, Job *job, Worker **worker);

/* Wakes an idle worker, which has a job or should leave. The lock is held. */
void worker_wake(Worker *w);

/* The worker looks at once whether what it runs was cancelled; Lua code is interrupted. To be
   repeated until the job has ended: a signal may come just before a coroutine is resumed. The lock
   is held. */
void worker_interrupt(Worker *w);

/* Waits for the thread, which is about to leave, and frees the worker. */
void worker_join(Worker *w);

#endif
