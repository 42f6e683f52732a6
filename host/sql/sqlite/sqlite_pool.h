/* A pool of connections to an SQLite database: one writer and readers, each with a thread. What
   tasks ask for in one pass of the loop is handed over at its end, at once.

   A job that no connection is free for waits in line: all connections that could run it are leased.
   A lease is had by one holder, whose jobs run one after the other.

   Everything here is for the loop's thread, but for what is said to be under the lock. Nothing
   enters Lua. */
#ifndef ML_SQLITE_POOL_H
#define ML_SQLITE_POOL_H

#include "core/pool_source.h"
#include "sql/sqlite/sqlite_thread.h"

typedef struct SqlitePool SqlitePool;

/* What a pool is made from; nothing of it is kept by reference but `synchronous`. */
typedef struct SqliteOptions {
  const char *path;
  bool memory, prepare;
  int flags; /* of sqlite3_open_v2 */
  const char *synchronous;
  unsigned connections;
  double acquire, timeout; /* seconds; HUGE_VAL is none */
  size_t max_result;       /* bytes; SIZE_MAX is none */
} SqliteOptions;

typedef struct SqliteLease {
  SqlitePool *pool;
  SqliteThread *thread;
  struct SqliteLease *next, **link; /* of the pool's */
  uint64_t since;
  uint64_t task;               /* the id of who has it */
  uint64_t last_task;          /* the last one that had been started when he got it */
  unsigned flying;             /* its jobs */
  bool over;                   /* it is given back when its jobs are over */
  bool streamed;               /* there have been streams */
  bool in_transaction, failed; /* as the last job left it */
  char holder[160];
} SqliteLease;

/* Jobs whose time runs, the oldest first. */
typedef struct SqliteFlight {
  SqliteJob *first, **tail; /* by `flies_next` */
} SqliteFlight;

struct SqlitePool {
  const SqliteLibrary *lib;
  Runtime *rt;
  CloseHook close_hook;
  uv_async_t async;
  PassHook pass;
  PoolSource source;
  Timer deadline, aging;
  uint64_t looked_at; /* when `deadline` was over the last time */
  SqliteSettings settings;
  uint64_t acquire, timeout; /* nanoseconds; TIMER_NEVER: none */
  double acquire_seconds, timeout_seconds;
  SqliteJobs write_line, read_line;   /* wait for a connection */
  SqliteJobs pending_reads;           /* to be handed over at the end of this pass */
  SqliteFlight waiting, flying, late; /* in line; pending and handed over; broken off */
  SqliteLease *leases;
  SqliteJob *free_jobs;
  struct SqliteSlab *slabs;
  unsigned awaited;    /* jobs that somebody waits for */
  bool dropped;        /* some that are pending are not wanted any more */
  uint32_t statements; /* ids given */
  unsigned refs;       /* the owner's, and the handle's */
  bool closed;         /* no more jobs */
  bool gone;           /* the threads have left, the handle is being closed */
  SqliteThread writer, *readers;
  SqliteConnection *here; /* the loop's own, for run_inline; or NULL */
  unsigned readers_most, readers_started;
  uint64_t ran, waited; /* statements, and those that had to wait for a connection */
  pthread_mutex_t opening;

  atomic_bool closing;
  pthread_mutex_t lock; /* of what follows, and of parts of the threads */
  SqliteJobs reads;     /* for any reader that is free */
  SqliteJobs done;
  bool deaf; /* the handle is not to be signalled any more */
};

/* A pool that opens its first connection when it is first asked. NULL when memory or descriptors
   are out. The caller owns it until sqlite_pool_free. */
SqlitePool *sqlite_pool_new(Runtime *rt, const SqliteLibrary *lib, const SqliteOptions *options);

/* No more jobs: whoever waits gets a fault of the code SQLITE_POOL_CLOSED. Threads leave when what
   runs has been broken off. */
void sqlite_pool_close(SqlitePool *pool);

/* The owner has gone. Closes it, too. */
void sqlite_pool_free(SqlitePool *pool);

/* What there is now; `busy` are those that are leased, too. */
typedef struct SqliteStats {
  unsigned connections, busy, leased, waiting, most;
  uint64_t statements, waited; /* so far */
} SqliteStats;
void sqlite_pool_stats(SqlitePool *pool, SqliteStats *stats);

/* A new id for a statement. */
static inline uint32_t sqlite_pool_next_id(SqlitePool *pool) { return ++pool->statements; }

/* A job, to be filled with parameters and submitted, or released. NULL when memory is out. */
SqliteJob *sqlite_pool_job(SqlitePool *pool, SqliteVerb verb, SqliteStatement *statement);

/* Codes of faults that are no codes of SQLite's. */
enum {
  SQLITE_POOL_CLOSED = -1,
  SQLITE_POOL_BUSY = -2,    /* no connection within `acquire` */
  SQLITE_POOL_TIMEOUT = -3, /* not done within `timeout` */
  SQLITE_POOL_THREAD = -4   /* a thread could not be started */
};

/* Hands the job over, at the end of the pass. `waker` is woken when it is SQLITE_JOB_BACK. A job
   that has failed at once is, and the result is false: nobody is woken. A job that is woken and
   `given_up`, and not back, is the thread's still: its waiter looks at nothing else, and abandons
   it. */
bool sqlite_pool_submit(SqlitePool *pool, SqliteJob *job, Waker waker);

/* The same, by the lease's connection. */
bool sqlite_pool_submit_leased(SqliteLease *lease, SqliteJob *job, Waker waker);

/* Runs a read on the loop, by a connection of the loop's own, for INLINE_BUDGET_NS at most. False:
   it takes longer, or something is in the way: it is to be submitted. */
bool sqlite_pool_run_inline(SqlitePool *pool, SqliteJob *job);

/* All readers are leased, and the writer is free: reads do not have to wait. */
bool sqlite_pool_reads_by_writer(const SqlitePool *pool);

/* Would the task wait for itself if it leased that, or for one that has started it meanwhile? */
bool sqlite_pool_waits_for_itself(const SqlitePool *pool, bool reads, const Task *task);

/* Nobody waits for it: for the end of a wait, at any time. */
void sqlite_pool_abandon(SqliteJob *job);

/* The job is back, or was never submitted: it has been looked at. */
void sqlite_pool_release(SqliteJob *job);

/* A lease of the writer, or of a reader. False: there is job->lease at once, or the job has failed.
   True: the job waits in line, and has it when `waker` is woken. A job that is abandoned gives it
   back. `holder` tells others for whom they wait: `task`. */
bool sqlite_pool_lease(SqlitePool *pool, SqliteJob *job, bool reads, const char *holder,
                       const Task *task, Waker waker);

/* The lease is over, and freed when its jobs are back. `reopen`: the connection is in a state that
 * is not known. */
void sqlite_pool_give_back(SqliteLease *lease, bool reopen);

/* --- between the files of the pool --- */

enum { SQLITE_SLAB_JOBS = 32 };

typedef struct SqliteSlab {
  struct SqliteSlab *next;
  SqliteJob jobs[SQLITE_SLAB_JOBS];
} SqliteSlab;

void sqlite_pool_recycle(SqliteJob *job);
void sqlite_pool_free_slabs(SqlitePool *pool);

/* Somebody waits for the job; nobody does any more. */
void sqlite_pool_await(SqliteJob *job, Waker waker);
void sqlite_pool_settle(SqliteJob *job);

/* It is nobody's but its owner's now, who is woken, if there is one. */
void sqlite_pool_come_back(SqliteJob *job);

/* It has come from its thread, or will not be handed over. */
void sqlite_pool_returned(SqliteJob *job);
void sqlite_pool_return_all(SqliteJobs *jobs);

/* Gives the slot back; the rows of a stream that are left are ended first, a lease given back. */
void sqlite_pool_close_unwanted(SqliteJob *job);

void sqlite_pool_fail(SqliteJob *job, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sqlite_pool_fail_closed(SqliteJob *job);
void sqlite_pool_fail_timeout(SqliteJob *job);

/* Its time runs from now on; no more. */
void sqlite_pool_start_clock(SqliteJob *job, uint64_t limit);
void sqlite_pool_stop_clock(SqliteJob *job);

/* Seconds that it took from its handing over until the thread was done with it: what the loop did
   before and after is not its time. 0: its time never ran. */
double sqlite_pool_seconds(const SqliteJob *job);

/* It is handed over at the end of this pass. */
void sqlite_pool_make_pending(SqliteJob *job, SqliteJobs *pending);
void sqlite_pool_on_pass(PassHook *hook, Runtime *rt);

/* The reader that would be started next, or NULL; starts it, or `jobs` fail. */
SqliteThread *sqlite_pool_next_reader(SqlitePool *pool);
bool sqlite_pool_start_reader(SqlitePool *pool, SqliteJobs *jobs);

/* A reader was leased: the reads that it was to take are for another one. */
void sqlite_pool_pass_reads_on(SqlitePool *pool);

/* To the writer, to a reader, or into the line of those who wait for one. */
void sqlite_pool_send_write(SqliteJob *job);
void sqlite_pool_send_read(SqliteJob *job);

/* Is there a reader that nobody has leased, now or as soon as it is started? */
bool sqlite_pool_has_reader(const SqlitePool *pool);

/* The lease's last job is back. */
void sqlite_pool_end_lease(SqliteLease *lease);
void sqlite_pool_unlist_lease(SqliteLease *lease);

void sqlite_pool_connection_init(SqlitePool *pool, SqliteConnection *c, bool reader);

#endif
