/* Leases, and the lines of those who wait for one: see sqlite_pool.h. */
#include "sql/sqlite/sqlite_pool.h"

#include "core/task.h"

#include <stdio.h>
#include <stdlib.h>

static void line_up(SqliteJob *job, SqliteJobs *line) {
  job->state = SQLITE_JOB_LINED;
  job->pool->waited++;
  sqlite_pool_start_clock(job, job->pool->acquire);
  sqlite_job_add(line, job);
}

void sqlite_pool_send_write(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  job->reads = false;
  if (pool->writer.lease || pool->write_line.first)
    line_up(job, &pool->write_line);
  else
    sqlite_pool_make_pending(job, &pool->writer.pending);
}

/* Is there a reader that nobody has leased, now or as soon as it is started? */
bool sqlite_pool_has_reader(const SqlitePool *pool) {
  unsigned leased = 0;
  for (unsigned i = 0; i < pool->readers_started; i++) leased += pool->readers[i].lease != NULL;
  return leased < pool->readers_most;
}

bool sqlite_pool_reads_by_writer(const SqlitePool *pool) {
  return !pool->writer.lease && !pool->write_line.first &&
         (pool->read_line.first || !sqlite_pool_has_reader(pool));
}

void sqlite_pool_send_read(SqliteJob *job) {
  SqlitePool *pool = job->pool;
  job->reads = true;
  if (!pool->readers_most || sqlite_pool_reads_by_writer(pool))
    sqlite_pool_send_write(job);
  else if (pool->read_line.first || !sqlite_pool_has_reader(pool))
    line_up(job, &pool->read_line);
  else
    sqlite_pool_make_pending(job, &pool->pending_reads);
}

static void set_leased(SqliteThread *thread, bool leased) {
  pthread_mutex_lock(&thread->pool->lock);
  thread->leased = leased;
  bool wake = !leased && thread->sleeping;
  pthread_mutex_unlock(&thread->pool->lock);
  if (wake) pthread_cond_signal(&thread->wake);
}

/* Leases a reader: one that has nothing to do, if there is. It is leased from the moment it is
   found or started, so that it does not take a read of others, which may be long, first. */
static SqliteThread *lease_reader(SqlitePool *pool) {
  SqliteThread *busy = NULL;
  pthread_mutex_lock(&pool->lock);
  SqliteThread *found = NULL;
  for (unsigned i = pool->readers_started; i-- > 0 && !found;) {
    SqliteThread *thread = &pool->readers[i];
    if (thread->lease) continue;
    if (thread->sleeping)
      found = thread;
    else
      busy = thread;
  }
  if (found) found->leased = true;
  pthread_mutex_unlock(&pool->lock);
  if (found) return found;
  SqliteJobs nothing = {0};
  SqliteThread *fresh = sqlite_pool_next_reader(pool);
  if (fresh) {
    set_leased(fresh, true);
    if (sqlite_pool_start_reader(pool, &nothing)) return fresh;
    set_leased(fresh, false);
  }
  if (busy) set_leased(busy, true);
  return busy;
}

/* Gives the job its lease. */
static void grant(SqliteJob *job, SqliteThread *thread) {
  SqlitePool *pool = job->pool;
  SqliteLease *lease = job->lease;
  lease->thread = thread;
  lease->since = runtime_now(pool->rt);
  lease->last_task = pool->rt->tasks.last_id;
  thread->lease = lease;
  if (thread != &pool->writer) sqlite_pool_pass_reads_on(pool);
}

/* The thread for a job that leases one, or NULL: it waits. */
static SqliteThread *thread_for(SqlitePool *pool, const SqliteJob *job) {
  if (job->reads) return sqlite_pool_has_reader(pool) ? lease_reader(pool) : NULL;
  return pool->writer.lease ? NULL : &pool->writer;
}

void sqlite_pool_unlist_lease(SqliteLease *lease) {
  *lease->link = lease->next;
  if (lease->next) lease->next->link = lease->link;
  free(lease);
}

bool sqlite_pool_lease(SqlitePool *pool, SqliteJob *job, bool reads, const char *holder,
                       const Task *task, Waker waker) {
  if (pool->closed) {
    sqlite_pool_fail_closed(job);
    job->state = SQLITE_JOB_BACK;
    return false;
  }
  SqliteLease *lease = calloc(1, sizeof *lease);
  if (!lease) {
    sqlite_pool_fail(job, SQLITE_NOMEM, "not enough memory");
    job->state = SQLITE_JOB_BACK;
    return false;
  }
  lease->pool = pool;
  snprintf(lease->holder, sizeof lease->holder, "%s", holder);
  lease->task = task->id;

  lease->link = &pool->leases;
  lease->next = pool->leases;
  if (lease->next) lease->next->link = &lease->next;
  pool->leases = lease;
  job->lease = lease;
  job->reads = reads && pool->readers_most;
  SqliteJobs *line = job->reads ? &pool->read_line : &pool->write_line;
  SqliteThread *thread = line->first ? NULL : thread_for(pool, job);
  if (thread) {
    grant(job, thread);
    job->state = SQLITE_JOB_BACK;
    return false;
  }
  sqlite_pool_await(job, waker);
  line_up(job, line);
  return true;
}

/* A connection is free: those at the head of the line have their turn. */
static void advance(SqlitePool *pool, SqliteJobs *line) {
  bool reads = line == &pool->read_line;
  for (SqliteJob *job; (job = line->first);) {
    if (job->verb == SQLITE_LEASE) {
      SqliteThread *thread = thread_for(pool, job);
      if (!thread) return;
      sqlite_job_take(line);
      grant(job, thread);
      sqlite_pool_come_back(job);
      continue;
    }
    if (reads ? !sqlite_pool_has_reader(pool) : pool->writer.lease != NULL) return;
    sqlite_job_take(line);
    sqlite_pool_stop_clock(job);
    sqlite_pool_make_pending(job, reads ? &pool->pending_reads : &pool->writer.pending);
  }
}

/* Reads that wait for a reader go to the writer, which is free. */
static void relieve_readers(SqlitePool *pool) {
  for (SqliteJob *job; (job = pool->read_line.first) && job->verb != SQLITE_LEASE;) {
    if (!sqlite_pool_reads_by_writer(pool)) return;
    sqlite_job_take(&pool->read_line);
    sqlite_pool_stop_clock(job);
    sqlite_pool_send_write(job);
  }
}

/* The lease's last job is back. */
void sqlite_pool_end_lease(SqliteLease *lease) {
  SqlitePool *pool = lease->pool;
  SqliteThread *thread = lease->thread;
  thread->lease = NULL;
  bool writer = thread == &pool->writer;
  if (!writer) set_leased(thread, false);
  sqlite_pool_unlist_lease(lease);
  advance(pool, writer ? &pool->write_line : &pool->read_line);
  relieve_readers(pool);
  if (pool->pending_reads.first) runtime_at_pass_end(pool->rt, &pool->pass);
}

static bool submit_end(SqliteLease *lease, SqliteVerb verb) {
  SqlitePool *pool = lease->pool;
  SqliteJob *job = pool->closed ? NULL : sqlite_pool_job(pool, verb, NULL);
  if (!job) return false;
  job->owned = false;
  job->lease = lease;
  lease->flying++;
  sqlite_pool_make_pending(job, &lease->thread->pending);
  return true;
}

void sqlite_pool_give_back(SqliteLease *lease, bool reopen) {
  lease->over = true;
  bool whole = !lease->flying && !lease->streamed && !lease->in_transaction && !lease->failed;
  if (reopen || !whole) submit_end(lease, reopen ? SQLITE_REOPEN : SQLITE_RESET);
  if (!lease->flying) sqlite_pool_end_lease(lease);
}

/* The task that has the lease, or one that it has started since. */
static bool is_holder(const SqliteLease *lease, const Task *task) {
  if (lease->over) return false;
  for (; task && task->id > lease->last_task; task = task->parent) continue;
  return task && task->id == lease->task;
}

bool sqlite_pool_waits_for_itself(const SqlitePool *pool, bool reads, const Task *task) {
  if (reads && pool->readers_most) {
    if (sqlite_pool_has_reader(pool)) return false;
    for (unsigned i = 0; i < pool->readers_started; i++)
      if (!is_holder(pool->readers[i].lease, task)) return false;
    return true;
  }
  return pool->writer.lease && is_holder(pool->writer.lease, task);
}
