/* Handing over what a pass has asked for: see sqlite_pool.h. */
#include "sql/sqlite/sqlite_pool.h"

/* A reader that has begun its batch so recently is worth waiting for. */
#define SOON_NS 500000u
/* How often it is looked whether reads wait behind one that takes long. */
#define AGING_NS 2000000u

void sqlite_pool_make_pending(SqliteJob *job, SqliteJobs *pending) {
  SqlitePool *pool = job->pool;
  job->state = SQLITE_JOB_PENDING;
  sqlite_pool_start_clock(job, pool->timeout);
  sqlite_job_add(pending, job);
  runtime_at_pass_end(pool->rt, &pool->pass);
}

/* Those that nobody wants any more are not handed over. */
static void drop_unwanted(SqliteJobs *jobs) {
  SqliteJobs all = *jobs;
  *jobs = (SqliteJobs){0};
  for (SqliteJob *job; (job = sqlite_job_take(&all));) {
    if (job->owned || job->verb >= SQLITE_UNSTREAM)
      sqlite_job_add(jobs, job);
    else
      sqlite_pool_returned(job);
  }
}

void sqlite_pool_return_all(SqliteJobs *jobs) {
  for (SqliteJob *job; (job = sqlite_job_take(jobs));) sqlite_pool_returned(job);
}

static void mark_handed(SqliteJobs *jobs, SqliteThread *thread) {
  uint64_t now = uv_hrtime();
  for (SqliteJob *job = jobs->first; job; job = job->next) {
    job->state = SQLITE_JOB_HANDED;
    job->handed_at = job->done_at = now;
    if (thread) job->thread = thread;
  }
}

/* The thread runs, or what is pending for it fails. */
static bool make_run(SqliteThread *thread, SqliteJobs *jobs) {
  if (thread->started) return true;
  int error = sqlite_thread_start(thread);
  if (!error) return true;
  for (SqliteJob *job = jobs->first; job; job = job->next)
    sqlite_pool_fail(job, SQLITE_POOL_THREAD, "cannot start a thread for the database: %s",
                     uv_strerror(error));
  mark_handed(jobs, thread);
  sqlite_pool_return_all(jobs);
  return false;
}

static void hand_to(SqliteThread *thread) {
  SqlitePool *pool = thread->pool;
  if (!thread->pending.first || !make_run(thread, &thread->pending)) return;
  mark_handed(&thread->pending, thread);
  pthread_mutex_lock(&pool->lock);
  sqlite_job_move(&thread->queue, &thread->pending);
  bool wake = thread->sleeping;
  pthread_mutex_unlock(&pool->lock);
  if (wake) pthread_cond_signal(&thread->wake);
}

SqliteThread *sqlite_pool_next_reader(SqlitePool *pool) {
  if (pool->readers_started == pool->readers_most) return NULL;
  return &pool->readers[pool->readers_started];
}

bool sqlite_pool_start_reader(SqlitePool *pool, SqliteJobs *jobs) {
  SqliteThread *thread = sqlite_pool_next_reader(pool);
  if (!thread || !make_run(thread, jobs)) return false;
  pool->readers_started++;
  return true;
}

typedef struct Free {
  SqliteThread *thread; /* to be woken, or NULL: */
  bool soon;            /* one that works will come for them soon */
  bool busy;            /* some work */
} Free;

/* Who is to take the reads that are there? Under the lock. */
static Free free_reader(const SqlitePool *pool) {
  uint64_t now = uv_hrtime();
  Free found = {0};
  for (unsigned i = 0; i < pool->readers_started; i++) {
    SqliteThread *thread = &pool->readers[i];
    if (thread->leased) continue;
    if (!thread->sleeping) {
      found.busy = true;
      if (now - thread->batch_since < SOON_NS) found.soon = true;
    } else if (!found.thread) {
      found.thread = thread;
    }
  }
  if (found.soon) found.thread = NULL;
  return found;
}

static void on_aging(Timer *timer);

static void watch_aging(SqlitePool *pool) {
  if (!pool->aging.place)
    timer_set(&pool->rt->timers, &pool->aging, runtime_now(pool->rt) + AGING_NS, on_aging);
}

static void hand_reads(SqlitePool *pool) {
  if (!pool->pending_reads.first) return;
  bool any = false;
  for (unsigned i = 0; i < pool->readers_started; i++) any |= !pool->readers[i].lease;
  if (!any && !sqlite_pool_next_reader(pool)) { /* all were leased meanwhile */
    if (pool->writer.lease) return;
    sqlite_job_move(&pool->writer.pending, &pool->pending_reads);
    hand_to(&pool->writer);
    return;
  }
  if (!any && !sqlite_pool_start_reader(pool, &pool->pending_reads)) return;
  mark_handed(&pool->pending_reads, NULL);
  pthread_mutex_lock(&pool->lock);
  sqlite_job_move(&pool->reads, &pool->pending_reads);
  Free found = free_reader(pool);
  pthread_mutex_unlock(&pool->lock);
  if (found.thread) pthread_cond_signal(&found.thread->wake);
  watch_aging(pool);
}

/* What waits behind a statement that takes long goes to another reader. Under the lock. */
static void take_from_slow(SqlitePool *pool, uint64_t now) {
  for (unsigned i = 0; i < pool->readers_started; i++) {
    SqliteThread *thread = &pool->readers[i];
    if (!thread->sleeping && now - thread->batch_since >= AGING_NS)
      sqlite_job_move(&pool->reads, &thread->batch);
  }
}

static void on_aging(Timer *timer) {
  SqlitePool *pool = container_of(timer, SqlitePool, aging);
  pthread_mutex_lock(&pool->lock);
  take_from_slow(pool, uv_hrtime());
  bool left = pool->reads.first;
  Free found = free_reader(pool);
  pthread_mutex_unlock(&pool->lock);
  SqliteJobs nothing = {0};
  if (left && found.thread)
    pthread_cond_signal(&found.thread->wake);
  else if (left && !found.soon)
    sqlite_pool_start_reader(pool, &nothing); /* which comes for them */
  if (left || found.busy) watch_aging(pool);
}

void sqlite_pool_on_pass(PassHook *hook, Runtime *rt) {
  (void)rt;
  SqlitePool *pool = container_of(hook, SqlitePool, pass);
  if (pool->dropped) {
    pool->dropped = false;
    drop_unwanted(&pool->pending_reads);
    drop_unwanted(&pool->writer.pending);
    for (unsigned i = 0; i < pool->readers_most; i++) drop_unwanted(&pool->readers[i].pending);
  }
  hand_to(&pool->writer);
  for (unsigned i = 0; i < pool->readers_started; i++) hand_to(&pool->readers[i]);
  hand_reads(pool);
}

/* The reads that a reader was to take are for another one, now that it is leased. */
void sqlite_pool_pass_reads_on(SqlitePool *pool) {
  pthread_mutex_lock(&pool->lock);
  bool left = pool->reads.first;
  Free found = free_reader(pool);
  pthread_mutex_unlock(&pool->lock);
  if (left && found.thread) pthread_cond_signal(&found.thread->wake);
  if (left) watch_aging(pool);
}
