/* Deadlines: see sqlite_pool.h. */
#include "sql/sqlite/sqlite_pool.h"

#include <stdio.h>

/* A statement whose time is over is broken off, and its end is told. It has so long to come back.
 */
#define GRACE_NS 2000000000u
/* Nanoseconds: what is due then is not due before the loop has polled. */
#define ONE_TURN 1000000u

static void on_deadline(Timer *timer);

static SqliteFlight *flight_of(SqliteJob *job) {
  if (job->state == SQLITE_JOB_LINED) return &job->pool->waiting;
  return job->expired ? &job->pool->late : &job->pool->flying;
}

static void flight_add(SqliteFlight *flight, SqliteJob *job) {
  job->flies_next = NULL;
  job->flies_link = flight->tail;
  *flight->tail = job;
  flight->tail = &job->flies_next;
}

void sqlite_pool_stop_clock(SqliteJob *job) {
  if (!job->flies_link) return;
  SqliteFlight *flight = flight_of(job);
  *job->flies_link = job->flies_next;
  *(job->flies_next ? &job->flies_next->flies_link : &flight->tail) = job->flies_link;
  job->flies_link = NULL;
}

static void set_deadline(SqlitePool *pool, uint64_t due) {
  if (due == TIMER_NEVER || timer_due_at(&pool->rt->timers, &pool->deadline) <= due) return;
  timer_set(&pool->rt->timers, &pool->deadline, due, on_deadline);
}

/* Its time runs from now on. */
void sqlite_pool_start_clock(SqliteJob *job, uint64_t limit) {
  SqlitePool *pool = job->pool;
  job->since = runtime_now(pool->rt);
  job->handed_at = 0;
  job->due = limit == TIMER_NEVER ? TIMER_NEVER : job->since + limit;
  flight_add(flight_of(job), job);
  set_deadline(pool, job->due);
}

double sqlite_pool_seconds(const SqliteJob *job) {
  if (!job->since) return 0;
  if (!job->handed_at) return (double)(runtime_now(job->pool->rt) - job->since) / 1e9;
  uint64_t end = job->given_up ? uv_hrtime() : job->done_at; /* the thread still has it */
  return (double)(end - job->handed_at) / 1e9;
}

/* --- the ends --- */

/* Who has the connections that the job could have, and since when. */
static void holders(const SqlitePool *pool, const SqliteJob *job, char *text, size_t size) {
  uint64_t now = runtime_now(pool->rt);
  size_t len = 0;
  text[0] = 0;
  for (const SqliteLease *lease = pool->leases; lease; lease = lease->next) {
    if (!lease->thread || (lease->thread != &pool->writer) != job->reads) continue;
    int n = snprintf(text + len, size - len, "%s%s (for %.1f s)", len ? ", " : "", lease->holder,
                     (double)(now - lease->since) / 1e9);
    if (n < 0 || (size_t)n >= size - len) return;
    len += (size_t)n;
  }
}

static void expire_lined(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  char text[400];
  holders(pool, job, text, sizeof text);
  sqlite_job_remove(&pool->write_line, job);
  sqlite_job_remove(&pool->read_line, job);
  SqliteLease *lease = job->lease;
  sqlite_pool_fail(job, SQLITE_POOL_BUSY, "no connection was free within %g s; held by %s",
                   pool->acquire_seconds, text[0] ? text : "nobody any more");
  if (lease) {
    job->lease = NULL;
    sqlite_pool_unlist_lease(lease);
  }
  sqlite_pool_come_back(job);
}

/* No thread has it yet: all that could are leased. */
static void expire_pending(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  sqlite_job_remove(&pool->pending_reads, job);
  sqlite_job_remove(&pool->writer.pending, job);
  for (unsigned i = 0; i < pool->readers_most; i++)
    sqlite_job_remove(&pool->readers[i].pending, job);
  sqlite_pool_fail_timeout(job);
  sqlite_pool_returned(job);
}

/* SQLite sees it between two of its instructions, most of which are short. */
static void break_off(SqliteJob *job, uint64_t now) {
  SqlitePool *pool = job->pool;
  sqlite_pool_stop_clock(job);
  job->expired = true;
  atomic_store_explicit(&job->stop, true, memory_order_relaxed);
  if (!job->awaited) return;
  if (job->state == SQLITE_JOB_PENDING) {
    expire_pending(job);
    return;
  }
  job->due = now + GRACE_NS;
  flight_add(&pool->late, job);
}

/* It does not come back: the one that waits is told so. The thread still has the job. */
static void give_up(SqliteJob *job) {
  sqlite_pool_stop_clock(job);
  job->given_up = true;
  sqlite_pool_settle(job);
  ml_wait_wake(job->waker);
}

/* The loop looks at its timers first: after a pass that took long, what is due may be there
   already, or a connection free. It is over when it was due the last time that the loop looked. */
static void on_deadline(Timer *timer) {
  SqlitePool *pool = container_of(timer, SqlitePool, deadline);
  uint64_t now = runtime_now(pool->rt), due = pool->looked_at, next = TIMER_NEVER;
  pool->looked_at = now;
  for (SqliteJob *job; (job = pool->waiting.first) && job->due <= due;) expire_lined(job);
  for (SqliteJob *job; (job = pool->flying.first) && job->due <= due;) break_off(job, now);
  for (SqliteJob *job; (job = pool->late.first) && job->due <= due;) give_up(job);
  const SqliteFlight *flights[] = {&pool->waiting, &pool->flying, &pool->late};
  for (int i = 0; i < 3; i++)
    if (flights[i]->first && flights[i]->first->due < next) next = flights[i]->first->due;
  set_deadline(pool, next <= now ? now + ONE_TURN : next);
}
