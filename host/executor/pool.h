/* A pool of worker threads, each with its own runtime, that run jobs for the tasks of one runtime,
   the owner.

   A job is a packed call (transfer.h). It waits in the pool's queue, runs as a task in a worker,
   and comes back as packed results or a packed error. Jobs start in the order they were submitted;
   a worker runs one at a time. Threads are started when they are first needed: up to `threads` at
   once, and if the jobs block rather than compute, up to `max_threads` (pool_growth.c); the extra
   ones leave when they have been idle for a while. A worker's state can be replaced by a new one on
   the same thread: after a number of jobs, when a job has used up its memory, or when the pool's
   start-up code has failed in it.

   When the owner's runtime closes, queued jobs are dropped, running ones are interrupted, and the
   threads are joined: a job that is inside a long C call holds that up until the call returns. */
#ifndef ML_POOL_H
#define ML_POOL_H

#include "core/pool_source.h"
#include "core/report.h"
#include "core/task.h"
#include "executor/progress.h"
#include "trace/trace_carrier.h"
#include "transfer/transfer.h"

#include <stdatomic.h>

typedef struct Pool Pool;
typedef struct Worker Worker;

typedef enum JobState { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED } JobState;

typedef enum JobOutcome {
  JOB_RETURNED, /* `message` has the results */
  JOB_RAISED,   /* `message` has the error value and the worker's traceback or nil */
  JOB_LOST,     /* the worker had no memory for either */
} JobOutcome;

/* One job. Its current holder owns it: the queue, the worker, the list of finished jobs, the
   task. */
typedef struct Job {
  struct Job *next, **link; /* in the queue or the list of finished ones; under the lock */
  Pool *pool;
  Waker waker;             /* the waiting task: the owner's thread only; no task: nobody waits */
  TransferMessage message; /* the call, later the outcome */
  uint64_t queued_at;      /* nanoseconds of uv_hrtime */
  uint64_t started_at;
  Worker *worker;               /* who runs it; under the lock */
  struct Observation *observed; /* for the one who waits; the owner's thread only; or NULL */
  TraceCarrier *trace;          /* of the one who waits; or NULL */
  LogKeptFields *log_context;   /* what entries of its log have in common; the same */
  Progress *progress;           /* a reference, or NULL: the caller does not read any */
  double cpu, slice;            /* limits of its task in seconds, or 0 */
  bool expected;                /* it is not submitted yet, but already counts (pool_expect) */
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
  int threads;         /* jobs that can run at once now */
  int workers;         /* workers known to pool_worker_stats */
  uint64_t recycled;   /* states that were replaced */
  double wait_seconds; /* total time that jobs have waited for a worker */
} PoolStats;

/* What one worker has done so far. When its thread has left, another one may take its place. */
typedef struct WorkerStats {
  double cpu_seconds; /* of its threads */
  uint64_t jobs;
  size_t memory; /* bytes of its Lua state after its last job */
} WorkerStats;

/* The options of a pool. */
typedef struct PoolOptions {
  int threads;         /* threads that may compute at once */
  int max_threads;     /* at most, while jobs block: at least `threads` */
  double idle_timeout; /* seconds without a job, after which those beyond `threads` leave; to 1e9 */
  size_t queue;        /* waiting jobs, at most */
  uint64_t max_jobs;   /* jobs that a state runs; 0: no limit */
  size_t max_memory;   /* bytes of a state; 0: no limit */
  size_t max_message;  /* bytes of a call, of its outcome; 0: TRANSFER_MAX_BYTES */
  int nice;            /* added to the nice value of its threads, so that they give way to others */
  const char *path, *cpath; /* package.path and .cpath for the workers; copied */
  TransferMessage preload;  /* packed loaders for package.preload, or empty; taken over */
  TransferMessage init;     /* a packed function that new states run first, or empty; taken over */
  /* In the state of a worker, protected: entries of `t` and of the tasks that it starts get the
     fields. */
  void (*enter_log)(lua_State *L, Task *t, const LogFields *fields);
} PoolOptions;

/* The default options: one thread per core. `shared`: for the default pool, which gets more
   threads, since anything may block in it. */
void pool_options_default(PoolOptions *options, bool shared);

/* A task that waits until the queue has room, or until the pool has closed. The task's stack keeps
   its memory. */
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
  void (*open)(lua_State *L); /* the function that opened the owner's state */
  void (*enter_log)(lua_State *L, Task *t, const LogFields *fields); /* of the options */
  const AddedModule *modules;                                        /* the owner's modules in C */
  TransferMessage preload; /* loaders for package.preload, packed; or empty */
  TransferMessage init;    /* the code that a new state runs first, packed; or empty */

  char *path, *cpath;        /* package.path and .cpath for the workers; the owner writes them */
  _Atomic unsigned path_set; /* how often it has, with the lock held */

  uv_mutex_t lock; /* for what follows, and for the paths where a worker reads them */
  JobList queue, finished;
  Worker *idle;         /* the one that became idle last comes first, since its caches are warm */
  Worker **workers;     /* room for max_threads, stats.workers of them are made */
  int alive;            /* threads that have not left yet */
  bool has_left;        /* threads have left that are not joined */
  uv_cond_t left;       /* a thread has left */
  bool stopping;        /* threads leave when the queue is empty */
  bool owner_spins;     /* the owner looks at has_finished: it need not be woken */
  bool had_idle;        /* a worker was idle at some time since the last look */
  int surplus;          /* threads that should leave as soon as their job has ended */
  uint64_t mean_run_ns; /* recent jobs, smoothed */
  bool jobs_block;      /* result of the last look; at first, assumed to be true */
  PoolStats stats;

  TraceOutlet spans;        /* that have ended in workers */
  atomic_bool has_finished; /* `finished` is not empty; written under the lock */
  atomic_int owner_cpu;     /* core of the owner at its last submission */

  /* the owner's thread only */
  int refs; /* the userdata, and the loop */
  CloseHook close_hook;
  PoolSource source;
  PassHook spin_hook;
  uv_async_t async;       /* something has finished, spans have ended, or a thread has left */
  Timer interrupt_timer;  /* until what was cancelled has ended */
  Timer growth_timer;     /* set while there is more work than `threads` workers can do */
  uint64_t growth_period; /* nanoseconds to the next look */
  uint64_t looked_at;     /* uv_hrtime of the last one; 0: there was none since the timer was set */
  uint64_t
      crowded_since;  /* time of the first look that found too many computing; 0: not too many */
  size_t outstanding; /* jobs that somebody waits for; they keep the loop alive */
  size_t reserved;    /* places in the queue reserved for tasks that were woken to take them */
  size_t expected;    /* jobs about to be submitted: it is not closed before */
  PoolWaits room_waits, close_waits;
  bool closing; /* takes no more jobs */
  bool closed;  /* the threads are joined */
};

/* A pool with one reference. NULL when memory or descriptors are out; `options->init` and
   `options->preload` are empty afterwards in any case. */
Pool *pool_new(Runtime *rt, PoolOptions *options);

/* Drops the reference. The pool then closes by itself when its jobs have ended. */
void pool_release(Pool *pool);

/* Sets where the workers' next jobs find modules: package.path and .cpath of the owner. Cheap if
   they have not changed. False if memory is out. */
bool pool_set_paths(Pool *pool, const char *path, const char *cpath);

/* Copies of them, for a worker, which frees them; *set is pool->path_set then. */
bool pool_copy_paths(Pool *pool, char **path, char **cpath, unsigned *set);

/* Is the queue full? */
bool pool_is_full(Pool *pool);

/* Submits a job. Returns 0, or a libuv error if not a single thread could be started: then the
   caller still owns the job. `job` has pool, waker and message set. */
int pool_submit(Pool *pool, Job *job);

/* Announces that the job will be submitted, even if the pool is closed before that, or freed. */
void pool_expect(Pool *pool, Job *job);

/* Nobody waits for the job any longer: it is removed from the queue or interrupted, and freed now
   or when its worker is done with it. False, with nothing done, if it has ended and its outcome is
   on the way to the waiting task. */
bool pool_cancel(Pool *pool, Job *job);

/* Adds a task to those that wait for room: they are woken in order, each with a reserved place,
   which pool_take_reserved releases. */
void pool_wait_for_room(Pool *pool, PoolWait *wait);
void pool_take_reserved(Pool *pool);

/* Takes no more jobs except expected ones; the threads leave when the last one has ended. */
void pool_close(Pool *pool);

/* Adds a task to those that are woken when the threads have left; pool_close was called. */
void pool_wait_for_close(Pool *pool, PoolWait *wait);

/* Stops waiting, in either case. */
void pool_stop_waiting(PoolWait *wait);

/* The figures of the pool. */
PoolStats pool_stats(Pool *pool);

/* Those of its worker `i`, from 0 to pool_stats().workers - 1. */
WorkerStats pool_worker_stats(Pool *pool, int i);

/* How many seconds a job submitted now would wait for a worker, estimated from the length of the
   queue and the time that recent jobs took. */
double pool_expected_wait(Pool *pool);

/* A job for `pool`, to be filled; NULL when memory is out. */
Job *pool_job_new(Pool *pool);

/* Frees a job: it has ended, or was never submitted. On the owner's thread. */
void pool_job_free(Job *job);

/* --- between pool and workers --- */

/* A job had to wait, or an extra thread is running one: from now on, while that is so, checks from
   time to time whether another number of threads would be better (pool_growth.c). */
void pool_watch_growth(Pool *pool);

/* Wakes as many tasks as the queue has room for. */
void pool_grant_room(Pool *pool);

/* The job was submitted, or will not be. */
void pool_expect_over(Pool *pool, Job *job);

/* Appends a job; takes the first one, or NULL; removes one. */
void pool_job_list_add(JobList *list, Job *job);
Job *pool_job_list_take(JobList *list);
void pool_job_list_remove(JobList *list, Job *job);

/* The same for tasks that wait. */
void pool_waits_add(PoolWaits *waits, PoolWait *wait);
void pool_waits_remove(PoolWait *wait);

#endif
