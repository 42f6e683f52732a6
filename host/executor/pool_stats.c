/* The figures of a pool. */
#include "executor/worker.h"

PoolStats pool_stats(Pool *pool) {
  uv_mutex_lock(&pool->lock);
  PoolStats stats = pool->stats;
  uv_mutex_unlock(&pool->lock);
  if (stats.threads < pool->threads)
    stats.threads = pool->threads; /* they are started as soon as they are needed */
  stats.queued += pool->reserved;
  for (PoolWait *wait = pool->room_waits.head; wait; wait = wait->next) stats.queued++;
  return stats;
}

WorkerStats pool_worker_stats(Pool *pool, int i) {
  uv_mutex_lock(&pool->lock);
  Worker *w = pool->workers[i];
  WorkerStats stats = w->stats;
  struct timespec now;
  if (w->has_clock && clock_gettime(w->clock, &now) == 0)
    stats.cpu_seconds += (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  uv_mutex_unlock(&pool->lock);
  return stats;
}

double pool_expected_wait(Pool *pool) {
  PoolStats stats = pool_stats(pool);
  uv_mutex_lock(&pool->lock);
  bool free_worker = pool->idle || pool->stats.threads < pool->threads;
  int threads = pool->jobs_block ? pool->max_threads : stats.threads;
  double mean = (double)pool->mean_run_ns / 1e9;
  uv_mutex_unlock(&pool->lock);
  return free_worker ? 0 : (double)(stats.queued + 1) * mean / threads;
}
