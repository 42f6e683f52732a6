/* A pool of worker threads, each with a runtime of its own, that run jobs for the tasks of one
   runtime, the owner.

   A job is a packed call (transfer.h). It waits in the pool's queue, runs as a task in a worker,
   and comes back as packed results or a packed error. Jobs start in the order they were submitted;
   a worker runs one at a time. Threads are started when they are first needed: up to `threads` at
   once, and where the jobs block rather than compute, up to `max_threads` (executor_growth.c),
   which leave when they have been idle for a while. A worker's state can be replaced by a new one
   on the same thread: when it has run so many jobs, when a job has used up its memory, or when the
   pool's start-up code has failed in it.

   When the owner's runtime closes, queued jobs are dropped, running ones are interrupted, and the
   threads are joined: a job that is inside a long C call holds that up until the call returns. */
#ifndef ML_EXECUTOR_H
#define ML_EXECUTOR_H

#include "progress.h"
#include "task.h"
#include "transfer.h"

#include <stdatomic.h>

typedef struct Pool Pool;
typedef struct Worker Worker;

typedef enum JobState { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED } JobState;

typedef enum JobOutcome {
  JOB_RETURNED, /* `message` has the results */
  JOB_RAISED,   /* `message` has the error value and the worker's traceback or nil */
  JOB_LOST,     /* the worker had no memory for either */
} JobOutcome;

/* One job. Whoever has it owns it: the queue, the worker, the list of finished ones, the task. */
typedef struct Job {
  struct Job *next, **link; /* in the queue or the list of finished ones; under the lock */
  Pool *pool;
  Waker waker;             /* who waits for it: the owner's thread only; no task: nobody any more */
  TransferMessage message; /* the call, later the outcome */
  uint64_t queued_at;      /* nanoseconds of uv_hrtime */
  uint64_t started_at;
  Worker *worker;     /* who runs it; under the lock */
  Progress *progress; /* a reference, or NULL: the caller does not read any */
  double cpu, slice;  /* limits of its task in seconds, or 0 */
  atomic_bool cancelled;
  uint8_t state;   /* a JobState; under the lock */
  uint8_t outcome; /* a JobOutcome */
} Job;

typedef struct JobList {
  Job *head, **tail;
} JobList;

typedef struct PoolStats {
  uint64_t done, failed, cancelled;
  size_t queued, running;
  int threads;         /* so many jobs can run at once, now */
  int workers;         /* that pool_worker_stats tells of */
  uint64_t recycled;   /* states that were replaced */
  double wait_seconds; /* that all jobs together have waited for a worker */
} PoolStats;

/* What one worker has done so far. When its thread has left, another one may take its place. */
typedef struct WorkerStats {
  double cpu_seconds; /* of its threads */
  uint64_t jobs;
  size_t memory; /* bytes of its Lua state after its last job */
} WorkerStats;

/* What a pool is made with. */
typedef struct PoolOptions {
  int threads;         /* that may compute at once */
  int max_threads;     /* at most, while jobs block: at least `threads` */
  double idle_timeout; /* seconds without a job, after which those beyond `threads` leave; to 1e9 */
  size_t queue;        /* waiting jobs, at most */
  uint64_t max_jobs;   /* a state runs; 0: any number */
  size_t max_memory;   /* bytes of a state; 0: any */
  size_t max_message;  /* bytes of a call, of its outcome; 0: TRANSFER_MAX_BYTES */
  int nice;            /* how much its threads give way to others: added to their nice value */
  const char *path, *cpath; /* package.path and .cpath for the workers; copied */
  TransferMessage preload;  /* packed loaders for package.preload, or empty; taken over */
  TransferMessage init;     /* a packed function that new states run first, or empty; taken over */
} PoolOptions;

/* A task that waits until the queue has room, or until the pool has closed. It lies in memory that
   the task's stack keeps. */
typedef struct PoolWait {
  struct PoolWait *next, **link;
  struct PoolWaits *list;
  Waker waker;
  Pool *pool;
} PoolWait;

typedef struct PoolWaits {
  PoolWait *head, **tail;
} PoolWaits;

struct Pool {
  /* set once */
  Runtime *rt;
  int threads, max_threads;
  uint64_t idle_timeout; /* nanoseconds */
  size_t max_queued;
  uint64_t max_jobs;          /* 0: any number */
  size_t max_memory;          /* 0: any */
  size_t max_message;         /* bytes; 0: TRANSFER_MAX_BYTES */
  int nice;                   /* added to the nice value of its threads */
  bool may_spin;              /* there is a core to spare */
  char *path, *cpath;         /* package.path and .cpath for the workers */
  const AddedModule *modules; /* the owner's modules in C */
  TransferMessage preload;    /* loaders for package.preload, packed; or empty */
  TransferMessage init;       /* what a new state runs first, packed; or empty */

  uv_mutex_t lock; /* for what follows */
  JobList queue, finished;
  Worker *idle;         /* the one that became idle last comes first: its caches are warm */
  Worker **workers;     /* room for max_threads, stats.workers of them are made */
  int alive;            /* threads that have not left yet */
  bool has_left;        /* threads have left that are not joined */
  uv_cond_t left;       /* a thread has left */
  bool stopping;        /* threads leave when the queue is empty */
  bool owner_spins;     /* the owner looks at has_finished: it need not be woken */
  bool had_idle;        /* a worker was idle at some time since the last look */
  int surplus;          /* threads that are to leave as soon as their job has ended */
  uint64_t mean_run_ns; /* recent jobs, smoothed */
  bool jobs_block;      /* at the last look; at first, as nobody knows: yes */
  PoolStats stats;

  atomic_bool has_finished; /* `finished` is not empty; written under the lock */
  atomic_int owner_cpu;     /* where the owner ran when it submitted last */

  /* the owner's thread only */
  int refs; /* the userdata, and the loop */
  CloseHook close_hook;
  PassHook spin_hook;
  uv_async_t async;       /* something has finished, or a thread has left */
  Timer interrupt_timer;  /* until what was cancelled has ended */
  Timer growth_timer;     /* while more is to be done than `threads` workers can do */
  uint64_t growth_period; /* nanoseconds to the next look */
  uint64_t looked_at;     /* uv_hrtime of the last one; 0: there was none since the timer was set */
  uint64_t crowded_since; /* the look that found too many computing first; 0: they do not */
  size_t outstanding;     /* jobs that somebody waits for; they keep the loop alive */
  size_t reserved;        /* places in the queue for tasks that were woken to take them */
  PoolWaits room_waits, close_waits;
  bool closing; /* takes no more jobs */
  bool closed;  /* the threads are joined */
};

/* A pool with one reference. NULL when memory or descriptors are out; `options->init` and
   `options->preload` are empty afterwards in any case. */
Pool *pool_new(Runtime *rt, PoolOptions *options);

/* Gives the reference back. The pool then closes by itself when its jobs have ended. */
void pool_release(Pool *pool);

/* Has the queue no room for another job now? */
bool pool_is_full(Pool *pool);

/* Hands over a job. Returns 0, or a libuv error when not one thread could be started: the job is
   still the caller's. `job` has pool, waker and message set. */
int pool_submit(Pool *pool, Job *job);

/* Nobody waits for the job any more: it is taken from the queue or interrupted; it is freed in any
   case, now or when its worker is done with it. */
void pool_cancel(Pool *pool, Job *job);

/* Adds a task to those that wait for room: they are woken in order, each with a reserved place.
   pool_take_reserved gives it back. */
void pool_wait_for_room(Pool *pool, PoolWait *wait);
void pool_take_reserved(Pool *pool);

/* Takes no more jobs; the threads leave when the last one has ended. */
void pool_close(Pool *pool);

/* Adds a task to those that are woken when the threads have left; pool_close was called. */
void pool_wait_for_close(Pool *pool, PoolWait *wait);

/* Stops waiting, for either. */
void pool_stop_waiting(PoolWait *wait);

/* What the pool has done and does. */
PoolStats pool_stats(Pool *pool);

/* Those of its worker `i`, from 0 to pool_stats().workers - 1. */
WorkerStats pool_worker_stats(Pool *pool, int i);

/* How many seconds a job that was submitted now would wait for a worker, by the length of the queue
   and the time that recent jobs took. */
double pool_expected_wait(Pool *pool);

/* A job for `pool`, to be filled; NULL when memory is out. */
Job *job_new(Pool *pool);

/* Frees a job. */
void job_free(Job *job);

/* --- between pool and workers --- */

/* A job had to wait, or an extra thread runs one: looks from time to time, from now on for as long
   as that is so, whether another number of threads would be better (executor_growth.c). */
void pool_watch_growth(Pool *pool);

/* Wakes as many tasks as the queue has room for. */
void pool_grant_room(Pool *pool);

/* Adds to the end; takes the first one, or NULL; takes one out. */
void job_list_add(JobList *list, Job *job);
Job *job_list_take(JobList *list);
void job_list_remove(JobList *list, Job *job);

/* The same for tasks that wait. */
void pool_waits_add(PoolWaits *waits, PoolWait *wait);
void pool_waits_remove(PoolWait *wait);

#endif
