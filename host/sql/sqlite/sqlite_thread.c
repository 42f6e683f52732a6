#include "sql/sqlite/sqlite_thread.h"

#include "sql/sqlite/sqlite_pool.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Results wait for those of the same batch for so long. */
#define TOGETHER_NS 500000u
/* Changes that are committed together at most. */
#define GROUP_MOST 2000
/* A thread whose pool is closed should be gone in microseconds. */
#define JOIN_SECONDS 5
/* Deep queries need some stack; pages that are not used cost nothing. */
#define STACK_SIZE ((size_t)2 << 20)

/* --- giving back --- */

static void give_back(SqlitePool *pool, SqliteJobs *jobs) {
  if (!jobs->first) return;
  uint64_t now = uv_hrtime();
  for (SqliteJob *job = jobs->first; job; job = job->next) job->done_at = now;
  pthread_mutex_lock(&pool->lock);
  bool first = !pool->done.first;
  sqlite_job_move(&pool->done, jobs);
  if (first && !pool->deaf) uv_async_send(&pool->async); /* not closed meanwhile */
  pthread_mutex_unlock(&pool->lock);
}

/* --- the writer: what changes something is committed together --- */

static bool is_change(const SqliteJob *job) {
  return !job->lease && job->verb == SQLITE_RUN &&
         atomic_load(&job->statement->class) == SQLITE_CHANGES;
}

static void fail_all(SqliteConnection *c, SqliteJob *first, int code) {
  for (SqliteJob *job = first; job; job = job->next) sqlite_connection_fail(c, job, code);
}

static void run_alone(SqliteConnection *c, SqliteJob *first) {
  for (SqliteJob *job = first; job; job = job->next) {
    sqlite_connection_forget(job);
    sqlite_connection_run(c, job);
    sqlite_connection_rollback(c);
  }
}

/* A statement that fails takes back what it has done and no more, so the others of its transaction
   stay. Where it has ended the transaction, or that cannot be committed, the statements run again
   one by one. */
static void run_group(SqliteConnection *c, SqliteJob *first) {
  if (!sqlite_connection_open(c, first)) {
    run_alone(c, first);
    return;
  }
  c->group = first;
  int rc = sqlite_connection_begin_immediate(c);
  c->group = NULL;
  if (rc) {
    fail_all(c, first, rc);
    return;
  }
  for (SqliteJob *job = first; job; job = job->next) {
    sqlite_connection_run_inside(c, job);
    if (!sqlite_connection_in_transaction(c)) {
      run_alone(c, first);
      return;
    }
  }
  if (sqlite_connection_commit(c) == SQLITE_OK) return;
  sqlite_connection_rollback(c);
  run_alone(c, first);
}

/* Takes the changes at the head of `from` that go together. */
static SqliteJobs take_group(SqliteJobs *from) {
  SqliteJobs group = {0};
  for (int n = 0; n < GROUP_MOST && from->first && is_change(from->first); n++)
    sqlite_job_add(&group, sqlite_job_take(from));
  return group;
}

static void run_writes(SqliteThread *thread, SqliteJobs *jobs) {
  SqliteConnection *c = &thread->connection;
  while (jobs->first) {
    SqliteJobs group = take_group(jobs);
    if (!group.first) {
      sqlite_job_add(&group, sqlite_job_take(jobs));
      sqlite_connection_run(c, group.first);
    } else if (group.first == group.last) {
      sqlite_connection_run(c, group.first);
    } else {
      run_group(c, group.first);
    }
    if (!group.first->lease) sqlite_connection_rollback(c); /* none of them leaves one open */
    give_back(thread->pool, &group);
  }
}

/* --- readers --- */

static SqliteJob *take_next(SqliteThread *thread) {
  pthread_mutex_lock(&thread->pool->lock);
  SqliteJob *job = sqlite_job_take(&thread->batch);
  pthread_mutex_unlock(&thread->pool->lock);
  return job;
}

/* The reads of a batch see the same state of the database. */
static void run_reads(SqliteThread *thread, bool together) {
  SqliteConnection *c = &thread->connection;
  SqliteJobs done = {0};
  uint64_t since = uv_hrtime();
  bool begun = false;
  for (SqliteJob *job; (job = take_next(thread));) {
    if (together && !begun && sqlite_connection_open(c, job))
      begun = sqlite_connection_begin(c) == SQLITE_OK;
    if (begun)
      sqlite_connection_run_inside(c, job);
    else
      sqlite_connection_run(c, job);
    if (begun && !sqlite_connection_in_transaction(c)) begun = false;
    sqlite_job_add(&done, job);
    uint64_t now = uv_hrtime();
    if (now - since < TOGETHER_NS) continue;
    since = now;
    give_back(thread->pool, &done);
  }
  if (begun && sqlite_connection_commit(c) != SQLITE_OK) sqlite_connection_rollback(c);
  give_back(thread->pool, &done);
}

static void run_leased(SqliteThread *thread, SqliteJobs *jobs) {
  for (SqliteJob *job; (job = sqlite_job_take(jobs));) {
    SqliteJobs done = {0};
    sqlite_connection_run(&thread->connection, job);
    sqlite_job_add(&done, job);
    give_back(thread->pool, &done);
  }
}

/* --- the thread --- */

/* Waits for something to do, and takes it: for the thread itself, or into its batch, `together`
   where that is several. False: the pool closes, and there is nothing more. */
static bool take(SqliteThread *thread, SqliteJobs *own, bool *together) {
  SqlitePool *pool = thread->pool;
  bool reader = thread->connection.reader;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    sqlite_job_move(own, &thread->queue);
    if (reader && !thread->leased && !own->first) sqlite_job_move(&thread->batch, &pool->reads);
    if (own->first || thread->batch.first || atomic_load(&pool->closing)) break;
    thread->sleeping = true;
    pthread_cond_wait(&thread->wake, &pool->lock);
    thread->sleeping = false;
  }
  bool any = own->first || thread->batch.first;
  *together = thread->batch.first != thread->batch.last;
  if (thread->batch.first) thread->batch_since = uv_hrtime();
  pthread_mutex_unlock(&pool->lock);
  return any;
}

static void leave(SqliteThread *thread) {
  SqlitePool *pool = thread->pool;
  sqlite_connection_close(&thread->connection);
  pthread_mutex_lock(&pool->lock);
  thread->left = true;
  if (!pool->deaf) uv_async_send(&pool->async);
  pthread_mutex_unlock(&pool->lock);
}

static void *work(void *data) {
  SqliteThread *thread = data;
  bool reader = thread->connection.reader;
  bool together;
  for (SqliteJobs own = {0}; take(thread, &own, &together);) {
    if (!reader)
      run_writes(thread, &own);
    else if (own.first)
      run_leased(thread, &own);
    else
      run_reads(thread, together);
  }
  leave(thread);
  return NULL;
}

/* It gets none of the process's signals. */
int sqlite_thread_start(SqliteThread *thread) {
  sigset_t every, before;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes)) return UV_ENOMEM;
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  int error = pthread_create(&thread->thread, &attributes, work, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error) return uv_translate_sys_error(error);
  thread->started = true;
  return 0;
}

bool sqlite_thread_join(SqliteThread *thread) {
  if (!thread->started || thread->joined) return true;
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += JOIN_SECONDS;
  thread->joined = pthread_timedjoin_np(thread->thread, NULL, &end) == 0;
  if (!thread->joined) pthread_detach(thread->thread);
  return thread->joined;
}
