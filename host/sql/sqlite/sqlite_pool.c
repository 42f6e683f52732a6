#include "sql/sqlite/sqlite_pool.h"

#include "sql/sql_observed.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A buffer that is larger is not kept for the next job. */
#define KEEP_BYTES ((size_t)64 << 10)
/* How long a statement may hold the loop up that is run there. */
#define INLINE_BUDGET_NS 1000000u

/* --- slots of jobs --- */

static bool add_slab(SqlitePool *pool) {
  SqliteSlab *slab = calloc(1, sizeof *slab);
  if (!slab) return false;
  slab->next = pool->slabs;
  pool->slabs = slab;
  for (int i = SQLITE_SLAB_JOBS; i-- > 0;) {
    slab->jobs[i].pool = pool;
    slab->jobs[i].next = pool->free_jobs;
    pool->free_jobs = &slab->jobs[i];
  }
  return true;
}

SqliteJob *sqlite_pool_job(SqlitePool *pool, SqliteVerb verb, SqliteStatement *statement) {
  if (!pool->free_jobs && !add_slab(pool)) return NULL;
  SqliteJob *job = pool->free_jobs;
  pool->free_jobs = job->next;
  job->next = NULL;
  job->lease = NULL;
  job->thread = NULL;
  job->state = SQLITE_JOB_NEW;
  job->awaited = job->expired = job->given_up = job->reads = job->bounces = job->bounced =
      job->more = job->ran = false;
  job->owned = true;
  job->since = 0;
  job->verb = (uint8_t)verb;
  atomic_store_explicit(&job->stop, false, memory_order_relaxed);
  job->statement = statement ? sqlite_statement_retain(statement) : NULL;
  job->sets = job->limit = 0;
  job->in_transaction = job->lost = false;
  job->fault.offset = -1;
  job->data = NULL;
  job->observed = NULL;
  return job;
}

static void trim(Buffer *b) {
  if (b->cap > KEEP_BYTES)
    buffer_free(b);
  else
    b->len = 0;
}

void sqlite_pool_recycle(SqliteJob *job) {
  sqlite_connection_forget(job);
  trim(&job->parameters);
  trim(&job->cells);
  sqlite_statement_release(job->statement);
  job->statement = NULL;
  job->next = job->pool->free_jobs;
  job->pool->free_jobs = job;
}

void sqlite_pool_free_slabs(SqlitePool *pool) {
  for (SqliteSlab *slab; (slab = pool->slabs);) {
    for (int i = 0; i < SQLITE_SLAB_JOBS; i++) {
      SqliteJob *job = &slab->jobs[i];
      sqlite_connection_forget(job);
      buffer_free(&job->parameters);
      buffer_free(&job->cells);
      sqlite_statement_release(job->statement);
    }
    pool->slabs = slab->next;
    free(slab);
  }
}

/* --- waking --- */

static void count_awaited(SqlitePool *pool, int by) {
  unsigned before = pool->awaited;
  pool->awaited += (unsigned)by;
  if (pool->gone) return;
  if (!before && pool->awaited) uv_ref((uv_handle_t *)&pool->async);
  if (!before || pool->awaited) return;
  /* nothing of it keeps the loop alive */
  uv_unref((uv_handle_t *)&pool->async);
  timer_clear(&pool->rt->timers, &pool->deadline);
  timer_clear(&pool->rt->timers, &pool->aging);
}

void sqlite_pool_await(SqliteJob *job, Waker waker) {
  job->waker = waker;
  job->awaited = true;
  count_awaited(job->pool, 1);
}

void sqlite_pool_settle(SqliteJob *job) {
  if (!job->awaited) return;
  job->awaited = false;
  count_awaited(job->pool, -1);
}

/* It is nobody's but its owner's now, who is woken, if there is one. */
void sqlite_pool_come_back(SqliteJob *job) {
  sqlite_pool_stop_clock(job);
  job->state = SQLITE_JOB_BACK;
  if (job->awaited) {
    sqlite_pool_settle(job);
    ml_wait_wake(job->waker);
  } else if (!job->owned) {
    sqlite_pool_close_unwanted(job);
  }
}

void sqlite_pool_fail(SqliteJob *job, int code, const char *format, ...) {
  sqlite_connection_forget(job);
  va_list args;
  va_start(args, format);
  if (vasprintf(&job->fault.message, format, args) < 0) job->fault.message = NULL;
  va_end(args);
  job->fault.code = code;
  job->fault.is_own = true;
}

void sqlite_pool_fail_timeout(SqliteJob *job) {
  sqlite_pool_fail(job, SQLITE_POOL_TIMEOUT, "not done within %g s", job->pool->timeout_seconds);
}

void sqlite_pool_fail_closed(SqliteJob *job) {
  sqlite_pool_fail(job, SQLITE_POOL_CLOSED, "the database was closed");
}

/* --- jobs --- */

static bool refuse_closed(SqliteJob *job) {
  if (!job->pool->closed) return false;
  sqlite_pool_fail_closed(job);
  job->state = SQLITE_JOB_BACK;
  return true;
}

bool sqlite_pool_submit(SqlitePool *pool, SqliteJob *job, Waker waker) {
  if (refuse_closed(job)) return false;
  sqlite_pool_await(job, waker);
  pool->ran++;
  if (job->verb == SQLITE_RUN && atomic_load(&job->statement->class) == SQLITE_READS)
    sqlite_pool_send_read(job);
  else
    sqlite_pool_send_write(job);
  return true;
}

bool sqlite_pool_submit_leased(SqliteLease *lease, SqliteJob *job, Waker waker) {
  if (refuse_closed(job)) return false;
  sqlite_pool_await(job, waker);
  lease->pool->ran++;
  job->lease = lease;
  job->bounced = job->ran = job->expired = job->given_up = false;
  lease->streamed |= job->verb == SQLITE_STREAM;
  lease->flying++;
  sqlite_pool_make_pending(job, &lease->thread->pending);
  return true;
}

/* It has come from its thread. */
void sqlite_pool_returned(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  SqliteLease *lease = job->lease;
  bool broken_off = job->fault.code > 0 && (job->fault.code & 0xff) == SQLITE_INTERRUPT;
  if (broken_off && pool->closed)
    sqlite_pool_fail_closed(job);
  else if (broken_off && job->expired)
    sqlite_pool_fail_timeout(job);
  if (job->bounced && !lease && job->awaited && !pool->closed) {
    job->bounced = false;
    sqlite_pool_stop_clock(job);
    sqlite_pool_send_write(job);
    return;
  }
  if (lease) {
    if (job->ran) {
      lease->in_transaction = job->in_transaction;
      lease->failed = job->lost;
    }
    lease->flying--;
    job->lease = NULL;
  }
  sqlite_pool_come_back(job);
  if (lease && lease->over && !lease->flying) sqlite_pool_end_lease(lease);
}

/* The rows of a stream that are left are not wanted: the connection's statement is closed before
   the slot is used again. */
void sqlite_pool_close_unwanted(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  if (job->verb == SQLITE_LEASE && job->lease) {
    SqliteLease *lease = job->lease;
    job->lease = NULL;
    if (lease->thread)
      sqlite_pool_give_back(lease, false);
    else
      sqlite_pool_unlist_lease(lease);
  }
  if (job->verb == SQLITE_STREAM && job->more) {
    if (pool->closed) return; /* freed with the pool */
    job->more = false;
    job->verb = SQLITE_UNSTREAM;
    sqlite_pool_make_pending(job, &job->thread->pending);
    return;
  }
  sqlite_pool_recycle(job);
}

void sqlite_pool_release(SqliteJob *job) {
  sql_observed_cancel(&job->observed);
  job->owned = false;
  job->lease = NULL; /* of a SQLITE_LEASE: the owner has it */
  sqlite_pool_close_unwanted(job);
}

void sqlite_pool_abandon(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  sql_observed_cancel(&job->observed);
  sqlite_pool_settle(job);
  job->owned = false;
  atomic_store_explicit(&job->stop, true, memory_order_relaxed);
  switch ((SqliteJobState)job->state) {
  case SQLITE_JOB_LINED:
    sqlite_job_remove(&pool->write_line, job);
    sqlite_job_remove(&pool->read_line, job);
    sqlite_pool_come_back(job);
    break;
  case SQLITE_JOB_PENDING:
    pool->dropped = true;
    sqlite_pool_stop_clock(job);
    break;
  case SQLITE_JOB_HANDED:
    sqlite_pool_stop_clock(job); /* no deadline of its own is needed */
    break;
  case SQLITE_JOB_NEW:
  case SQLITE_JOB_BACK:
    sqlite_pool_close_unwanted(job);
    break;
  }
}

/* --- on the loop --- */

static SqliteConnection *connection_here(SqlitePool *pool) {
  if (pool->here) return pool->here;
  pool->here = calloc(1, sizeof *pool->here);
  if (pool->here) sqlite_pool_connection_init(pool, pool->here, true);
  return pool->here;
}

bool sqlite_pool_run_inline(SqlitePool *pool, SqliteJob *job) {
  if (pool->closed || pool->settings.memory || job->verb != SQLITE_RUN ||
      atomic_load(&job->statement->class) != SQLITE_READS)
    return false;
  SqliteConnection *c = connection_here(pool);
  if (!c) return false;
  c->until = uv_hrtime() + INLINE_BUDGET_NS;
  sqlite_connection_run(c, job);
  int code = job->fault.code & 0xff;
  if (!job->bounced && code != SQLITE_INTERRUPT && code != SQLITE_BUSY) {
    job->state = SQLITE_JOB_BACK;
    pool->ran++;
    return true;
  }
  sqlite_connection_forget(job);
  job->bounced = job->ran = false;
  return false;
}
