/* The beginning and the end of pools: see sqlite_pool.h. */
#include "sql/sqlite/sqlite_pool.h"

#include <stdlib.h>

static unsigned count(const SqliteJobs *jobs) {
  unsigned n = 0;
  for (const SqliteJob *job = jobs->first; job; job = job->next) n++;
  return n;
}

static void count_thread(SqliteThread *thread, SqliteStats *stats) {
  if (!thread->started) return;
  stats->connections++;
  stats->leased += thread->lease != NULL;
  stats->busy += thread->lease || !thread->sleeping;
}

void sqlite_pool_stats(SqlitePool *pool, SqliteStats *stats) {
  *stats = (SqliteStats){.waiting = count(&pool->write_line) + count(&pool->read_line),
                         .most = 1 + pool->readers_most,
                         .statements = pool->ran,
                         .waited = pool->waited};
  pthread_mutex_lock(&pool->lock);
  count_thread(&pool->writer, stats);
  for (unsigned i = 0; i < pool->readers_started; i++) count_thread(&pool->readers[i], stats);
  pthread_mutex_unlock(&pool->lock);
}

/* --- the end --- */

static void unlist_close_hook(SqlitePool *pool) {
  for (CloseHook **link = &pool->rt->close_hooks; *link; link = &(*link)->next) {
    if (*link != &pool->close_hook) continue;
    *link = pool->close_hook.next;
    return;
  }
}

static void release(SqlitePool *pool) {
  if (--pool->refs) return;
  sqlite_pool_free_slabs(pool);
  while (pool->leases) sqlite_pool_unlist_lease(pool->leases);
  pthread_mutex_destroy(&pool->lock);
  pthread_mutex_destroy(&pool->opening);
  pthread_cond_destroy(&pool->writer.wake);
  for (unsigned i = 0; i < pool->readers_most; i++) pthread_cond_destroy(&pool->readers[i].wake);
  free(pool->here);
  free(pool->readers);
  free(pool->settings.path);
  free(pool);
}

static void on_closed(uv_handle_t *handle) { release(container_of(handle, SqlitePool, async)); }

static SqliteJobs take_done(SqlitePool *pool) {
  SqliteJobs done = {0};
  pthread_mutex_lock(&pool->lock);
  sqlite_job_move(&done, &pool->done);
  pthread_mutex_unlock(&pool->lock);
  return done;
}

/* Waits for the threads. One that does not leave has a statement that cannot be broken off, or a
   disk that does not answer: it keeps the pool for itself. */
static void join_all(SqlitePool *pool) {
  bool all = sqlite_thread_join(&pool->writer);
  for (unsigned i = 0; i < pool->readers_most; i++) all &= sqlite_thread_join(&pool->readers[i]);
  if (!all) pool->refs++;
}

/* The threads have left, or are waited for. */
static void close_handle(SqlitePool *pool) {
  if (pool->gone) return;
  join_all(pool);
  pthread_mutex_lock(&pool->lock);
  pool->deaf = true;
  pthread_mutex_unlock(&pool->lock);
  SqliteJobs done = take_done(pool);
  sqlite_pool_return_all(&done);
  sqlite_job_move(&done, &pool->reads); /* no reader was left for them */
  sqlite_pool_return_all(&done);
  unlist_close_hook(pool);
  timer_clear(&pool->rt->timers, &pool->deadline);
  timer_clear(&pool->rt->timers, &pool->aging);
  runtime_not_at_pass_end(pool->rt, &pool->pass);
  pool->gone = true;
  if (pool->here) sqlite_connection_close(pool->here);
  uv_close((uv_handle_t *)&pool->async, on_closed);
}

static bool have_left(SqlitePool *pool) {
  pthread_mutex_lock(&pool->lock);
  bool left = !pool->writer.started || pool->writer.left;
  for (unsigned i = 0; i < pool->readers_started; i++) left &= pool->readers[i].left;
  pthread_mutex_unlock(&pool->lock);
  return left;
}

static void on_async(uv_async_t *async) {
  SqlitePool *pool = container_of(async, SqlitePool, async);
  SqliteJobs done = take_done(pool);
  sqlite_pool_return_all(&done);
  if (pool->closed && have_left(pool)) close_handle(pool);
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  (void)rt;
  SqlitePool *pool = container_of(hook, SqlitePool, close_hook);
  sqlite_pool_close(pool);
  close_handle(pool);
}

static void fail_line(SqliteJobs *line) {
  for (SqliteJob *job; (job = sqlite_job_take(line));) {
    SqliteLease *lease = job->verb == SQLITE_LEASE ? job->lease : NULL;
    job->lease = NULL;
    sqlite_pool_fail_closed(job);
    sqlite_pool_come_back(job);
    if (lease) sqlite_pool_unlist_lease(lease);
  }
}

static void fail_pending(SqliteJobs *pending) {
  for (SqliteJob *job; (job = sqlite_job_take(pending));) {
    sqlite_pool_fail_closed(job);
    sqlite_pool_returned(job);
  }
}

/* What runs is broken off, and what was handed over does not begin. */
static void stop_all(SqlitePool *pool) {
  for (SqliteSlab *slab = pool->slabs; slab; slab = slab->next) {
    for (int i = 0; i < SQLITE_SLAB_JOBS; i++) {
      SqliteJob *job = &slab->jobs[i];
      if (job->state == SQLITE_JOB_HANDED) atomic_store(&job->stop, true);
    }
  }
}

static void signal_all(SqlitePool *pool) {
  pthread_cond_signal(&pool->writer.wake);
  for (unsigned i = 0; i < pool->readers_started; i++) pthread_cond_signal(&pool->readers[i].wake);
}

void sqlite_pool_close(SqlitePool *pool) {
  if (pool->closed) return;
  pool->closed = true;
  pool_source_remove(&pool->source);
  fail_line(&pool->write_line);
  fail_line(&pool->read_line);
  fail_pending(&pool->pending_reads);
  fail_pending(&pool->writer.pending);
  for (unsigned i = 0; i < pool->readers_most; i++) fail_pending(&pool->readers[i].pending);
  stop_all(pool);
  pthread_mutex_lock(&pool->lock);
  atomic_store(&pool->closing, true);
  pthread_mutex_unlock(&pool->lock);
  signal_all(pool);
  if (have_left(pool)) close_handle(pool);
}

void sqlite_pool_free(SqlitePool *pool) {
  sqlite_pool_close(pool);
  release(pool);
}

void sqlite_pool_connection_init(SqlitePool *pool, SqliteConnection *c, bool reader) {
  c->lib = pool->lib;
  c->settings = &pool->settings;
  c->opening = &pool->opening;
  c->lock = &pool->lock;
  c->closing = &pool->closing;
  c->reader = reader;
}

static void thread_init(SqlitePool *pool, SqliteThread *thread, bool reader) {
  thread->pool = pool;
  pthread_cond_init(&thread->wake, NULL);
  sqlite_pool_connection_init(pool, &thread->connection, reader);
}

static uint64_t nanoseconds(double seconds) {
  return seconds >= 1e9 ? TIMER_NEVER : (uint64_t)(seconds * 1e9);
}

static void figures(PoolSource *source, PoolFigures *f) {
  SqlitePool *pool = container_of(source, SqlitePool, source);
  SqliteStats stats;
  sqlite_pool_stats(pool, &stats);
  *f = (PoolFigures){.system = "sqlite",
                     .name = pool->settings.path,
                     .idle = stats.connections > stats.busy ? stats.connections - stats.busy : 0,
                     .used = stats.busy,
                     .most = stats.most,
                     .waiting = stats.waiting};
}

SqlitePool *sqlite_pool_new(Runtime *rt, const SqliteLibrary *lib, const SqliteOptions *options) {
  SqlitePool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  unsigned readers = options->connections;
  pool->readers_most = options->memory ? 0 : readers;
  pool->readers = calloc(readers, sizeof *pool->readers);
  pool->settings = (SqliteSettings){.path = strdup(options->path),
                                    .memory = options->memory,
                                    .flags = options->flags,
                                    .synchronous = options->synchronous,
                                    .prepare = options->prepare,
                                    .max_result = options->max_result};
  if (!pool->readers || !pool->settings.path || uv_async_init(&rt->loop, &pool->async, on_async)) {
    free(pool->readers);
    free(pool->settings.path);
    free(pool);
    return NULL;
  }
  uv_unref((uv_handle_t *)&pool->async);
  pool->lib = lib;
  pool->rt = rt;
  pool->refs = 2;
  pool->pass.run = sqlite_pool_on_pass;
  pool->source.figures = figures;
  pool_source_add(rt, &pool->source);
  pool->acquire = nanoseconds(options->acquire);
  pool->timeout = nanoseconds(options->timeout);
  pool->acquire_seconds = options->acquire;
  pool->timeout_seconds = options->timeout;
  pool->waiting.tail = &pool->waiting.first;
  pool->flying.tail = &pool->flying.first;
  pool->late.tail = &pool->late.first;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_mutex_init(&pool->opening, NULL);
  thread_init(pool, &pool->writer, false);
  for (unsigned i = 0; i < pool->readers_most; i++) thread_init(pool, &pool->readers[i], true);
  pool->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &pool->close_hook);
  return pool;
}
