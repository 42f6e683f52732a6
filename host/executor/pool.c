/* The owner's side of a pool: everything here runs on the owner's thread. */
#include "executor/pool.h"

#include "executor/worker.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* How often a worker that has not stopped yet is told to stop. */
#define INTERRUPT_AGAIN_NS 10000000u
/* Jobs this short are worth a busy wait: waking a thread takes longer. */
#define SHORT_JOB_NS 20000u
#define SPIN_NS 30000u

#define POOL_OF(member, pointer) ((Pool *)(void *)((char *)(pointer)-offsetof(Pool, member)))

/* --- what keeps the loop alive --- */

static void update_ref(Pool *pool) {
  if (pool->closed) return;
  if (pool->outstanding || pool->close_waits.head)
    uv_ref((uv_handle_t *)&pool->async);
  else
    uv_unref((uv_handle_t *)&pool->async);
}

/* --- room in the queue --- */

bool pool_is_full(Pool *pool) {
  if (pool->room_waits.head) return true; /* they come first */
  uv_mutex_lock(&pool->lock);
  bool full = pool->stats.queued + pool->reserved >= pool->max_queued;
  uv_mutex_unlock(&pool->lock);
  return full;
}

void pool_grant_room(Pool *pool) {
  if (!pool->room_waits.head) return;
  uv_mutex_lock(&pool->lock);
  size_t queued = pool->stats.queued;
  uv_mutex_unlock(&pool->lock);
  for (PoolWait *wait; (wait = pool->room_waits.head);) {
    if (queued + pool->reserved >= pool->max_queued) return;
    pool->reserved++;
    pool_waits_remove(wait);
    ml_wait_wake(wait->waker);
  }
}

void pool_wait_for_room(Pool *pool, PoolWait *wait) {
  pool_waits_add(&pool->room_waits, wait);
  pool->outstanding++;
  update_ref(pool);
}

static void stop_if_idle(Pool *pool);

void pool_take_reserved(Pool *pool) {
  pool->reserved--;
  pool->outstanding--;
  update_ref(pool);
  if (pool->rt->scheduler.current->cancel_pending) { /* it will not be used */
    pool_grant_room(pool);
    stop_if_idle(pool);
  }
}

void pool_stop_waiting(PoolWait *wait) {
  Pool *pool = wait->pool;
  pool_waits_remove(wait);
  if (wait->list == &pool->room_waits) pool->outstanding--;
  update_ref(pool);
  stop_if_idle(pool);
}

/* --- what comes back --- */

/* Passes the finished jobs to the tasks that wait for them. */
static void settle(Pool *pool, Job *job) {
  trace_outlet_pass(&pool->spans, pool->rt); /* before those who wait for the jobs go on */
  for (Job *next; job; job = next) {
    next = job->next;
    if (job->waker.task) {
      pool->outstanding--;
      ml_wait_wake(job->waker);
    } else {
      pool_job_free(job);
    }
  }
  update_ref(pool);
  pool_grant_room(pool);
}

/* The lock is held. */
static Job *take_finished(Pool *pool) {
  Job *jobs = pool->finished.head;
  pool->finished.head = NULL;
  pool->finished.tail = &pool->finished.head;
  atomic_store_explicit(&pool->has_finished, false, memory_order_relaxed);
  return jobs;
}

static void on_async_closed(uv_handle_t *handle) { pool_release(POOL_OF(async, handle)); }

/* The threads have left: nothing of the pool is left on the loop. */
static void close_handles(Pool *pool) {
  for (int i = 0; i < pool->stats.workers; i++) worker_join(pool->workers[i]);
  trace_outlet_pass(&pool->spans, pool->rt);
  pool->closed = true;
  pool_source_remove(&pool->source);
  timer_clear(&pool->rt->timers, &pool->interrupt_timer);
  timer_clear(&pool->rt->timers, &pool->growth_timer);
  for (PoolWait *wait; (wait = pool->close_waits.head);) {
    pool_waits_remove(wait);
    ml_wait_wake(wait->waker);
  }
  uv_close((uv_handle_t *)&pool->async, on_async_closed);
}

static void unlist_close_hook(Pool *pool) {
  for (CloseHook **link = &pool->rt->close_hooks; *link; link = &(*link)->next) {
    if (*link != &pool->close_hook) continue;
    *link = pool->close_hook.next;
    return;
  }
}

/* Threads have left a pool that continues without them. */
static void join_left(Pool *pool) {
  for (int i = 0; i < pool->stats.workers; i++) {
    uv_mutex_lock(&pool->lock);
    bool left = pool->workers[i]->state == WORKER_LEFT;
    uv_mutex_unlock(&pool->lock);
    if (left) worker_join(pool->workers[i]);
  }
}

static void on_async(uv_async_t *async) {
  Pool *pool = POOL_OF(async, async);
  uv_mutex_lock(&pool->lock);
  Job *jobs = take_finished(pool);
  bool has_left = pool->has_left;
  bool is_over = pool->stopping && pool->alive == 0; /* these jobs are the last ones */
  pool->has_left = false;
  uv_mutex_unlock(&pool->lock);
  settle(pool, jobs);
  if (is_over) {
    unlist_close_hook(pool);
    close_handles(pool);
  } else if (has_left) {
    join_left(pool);
  }
}

/* Is a worker on this very core? It could not run while the owner spins. The lock is held. */
static bool shares_core(Pool *pool) {
  int cpu = atomic_load_explicit(&pool->owner_cpu, memory_order_relaxed);
  for (int i = 0; i < pool->stats.workers; i++) {
    Worker *w = pool->workers[i];
    if (w->state == WORKER_BUSY && atomic_load_explicit(&w->cpu, memory_order_relaxed) == cpu)
      return true;
  }
  return false;
}

/* At the end of a pass in which a job was submitted: if jobs have been short, waits for one for
   about as long as it takes to fall asleep and be woken. */
static void spin(PassHook *hook, Runtime *rt) {
  Pool *pool = POOL_OF(spin_hook, hook);
  if (rt->scheduler.ready.head || !pool->outstanding) return;
  uv_mutex_lock(&pool->lock);
  bool worthwhile = pool->mean_run_ns < SHORT_JOB_NS && !shares_core(pool);
  pool->owner_spins = worthwhile;
  uv_mutex_unlock(&pool->lock);
  if (!worthwhile) return;
  uint64_t end = uv_hrtime() + SPIN_NS;
  while (!atomic_load_explicit(&pool->has_finished, memory_order_acquire) && uv_hrtime() < end) {
  }
  uv_mutex_lock(&pool->lock);
  pool->owner_spins = false;
  Job *jobs = take_finished(pool);
  uv_mutex_unlock(&pool->lock);
  settle(pool, jobs);
}

/* --- submitting and cancelling --- */

int pool_submit(Pool *pool, Job *job) {
  int rc = 0;
  job->queued_at = uv_hrtime();
  uv_mutex_lock(&pool->lock);
  Worker *w = pool->idle;
  if (w) {
    job->state = JOB_RUNNING;
    job->worker = w;
    atomic_store_explicit(&w->job, job, memory_order_release);
    worker_wake(w);
    pool->stats.running++;
  } else if (pool->stats.threads < pool->threads) {
    rc = worker_start(pool, job);
  }
  if (!job->worker && pool->stats.threads > 0) { /* no other thread is available: wait */
    rc = 0;
    job->state = JOB_QUEUED;
    pool_job_list_add(&pool->queue, job);
    pool->stats.queued++;
  }
  bool is_much = pool->queue.head || pool->stats.running > (size_t)pool->threads;
  uv_mutex_unlock(&pool->lock);
  if (rc != 0) return rc;
  if (is_much) pool_watch_growth(pool);
  pool->outstanding++;
  update_ref(pool);
  if (job->expected) pool_expect_over(pool, job);
  if (pool->may_spin) {
    atomic_store_explicit(&pool->owner_cpu, sched_getcpu(), memory_order_relaxed);
    runtime_at_pass_end(pool->rt, &pool->spin_hook);
  }
  stop_if_idle(pool);
  return 0;
}

/* Interrupts cancelled jobs that are still running. False if there are none. The lock is held. */
static bool interrupt_cancelled(Pool *pool) {
  bool any = false;
  for (int i = 0; i < pool->stats.workers; i++) {
    Worker *w = pool->workers[i];
    Job *job = atomic_load(&w->job);
    if (w->state != WORKER_BUSY || !job || !atomic_load(&job->cancelled)) continue;
    worker_interrupt(w);
    any = true;
  }
  return any;
}

static void on_interrupt_timer(Timer *timer) {
  Pool *pool = POOL_OF(interrupt_timer, timer);
  uv_mutex_lock(&pool->lock);
  bool again = interrupt_cancelled(pool);
  uv_mutex_unlock(&pool->lock);
  if (again)
    timer_set(&pool->rt->timers, timer, runtime_now(pool->rt) + INTERRUPT_AGAIN_NS, timer->fire);
}

bool pool_cancel(Pool *pool, Job *job) {
  uv_mutex_lock(&pool->lock);
  uint8_t state = job->state;
  if (state == JOB_QUEUED) {
    pool_job_list_remove(&pool->queue, job);
    pool->stats.queued--;
  } else if (state == JOB_RUNNING) {
    atomic_store(&job->cancelled, true);
    worker_interrupt(job->worker);
  }
  if (state != JOB_FINISHED) pool->stats.cancelled++;
  uv_mutex_unlock(&pool->lock);
  if (state == JOB_FINISHED) return false;
  job->waker = (Waker){0};
  pool->outstanding--;
  update_ref(pool);
  if (state == JOB_QUEUED) {
    pool_job_free(job);
    pool_grant_room(pool);
    stop_if_idle(pool);
  } else {
    timer_set(&pool->rt->timers, &pool->interrupt_timer, runtime_now(pool->rt) + INTERRUPT_AGAIN_NS,
              on_interrupt_timer);
  }
  return true;
}

/* --- closing --- */

/* Releases the threads if the pool is closing and no task is about to submit. */
static void stop_if_idle(Pool *pool) {
  if (!pool->closing || pool->closed) return;
  if (pool->room_waits.head || pool->reserved || pool->expected) return;
  uv_mutex_lock(&pool->lock);
  if (!pool->stopping) {
    pool->stopping = true;
    while (pool->idle) worker_wake(pool->idle);
  }
  bool none = pool->alive == 0;
  uv_mutex_unlock(&pool->lock);
  if (none) uv_async_send(&pool->async); /* no thread will report it */
}

void pool_expect(Pool *pool, Job *job) {
  job->expected = true;
  pool->expected++;
}

void pool_expect_over(Pool *pool, Job *job) {
  job->expected = false;
  pool->expected--;
  stop_if_idle(pool);
}

void pool_close(Pool *pool) {
  pool->closing = true;
  stop_if_idle(pool);
}

void pool_wait_for_close(Pool *pool, PoolWait *wait) {
  pool_waits_add(&pool->close_waits, wait);
  update_ref(pool);
}

/* The runtime closes: waits for nothing except the threads themselves. */
static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  Pool *pool = POOL_OF(close_hook, hook);
  (void)rt;
  pool->closing = true;
  uv_mutex_lock(&pool->lock);
  for (Job *job; (job = pool_job_list_take(&pool->queue));) pool_job_free(job);
  pool->stats.queued = 0;
  pool->stopping = true;
  for (int i = 0; i < pool->stats.workers; i++) {
    Job *job = atomic_load(&pool->workers[i]->job);
    if (job) atomic_store(&job->cancelled, true);
    atomic_store(&pool->workers[i]->abort, true);
  }
  while (pool->idle) worker_wake(pool->idle);
  while (pool->alive > 0) {
    for (int i = 0; i < pool->stats.workers; i++) worker_interrupt(pool->workers[i]);
    uv_cond_timedwait(&pool->left, &pool->lock, INTERRUPT_AGAIN_NS);
  }
  Job *jobs = take_finished(pool);
  uv_mutex_unlock(&pool->lock);
  for (Job *next; jobs; jobs = next) {
    next = jobs->next;
    pool_job_free(jobs);
  }
  close_handles(pool);
}

/* --- life --- */

static void pool_free(Pool *pool) {
  for (int i = 0; i < pool->stats.workers; i++) free(pool->workers[i]);
  uv_mutex_destroy(&pool->lock);
  uv_cond_destroy(&pool->left);
  trace_outlet_close(&pool->spans);
  free(pool->workers);
  transfer_free(&pool->preload);
  transfer_free(&pool->init);
  free(pool->path);
  free(pool->cpath);
  pool_source_remove(&pool->source);
  free(pool);
}

/* A pool with only its locks, or NULL. */
static Pool *allocate(void) {
  Pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  if (uv_mutex_init(&pool->lock) == 0) {
    if (uv_cond_init(&pool->left) == 0) {
      if (trace_outlet_open(&pool->spans, &pool->async)) return pool;
      uv_cond_destroy(&pool->left);
    }
    uv_mutex_destroy(&pool->lock);
  }
  free(pool);
  return NULL;
}

static void figures(PoolSource *source, PoolFigures *f) {
  Pool *pool = container_of(source, Pool, source);
  PoolStats stats = pool_stats(pool);
  *f = (PoolFigures){
      .used = (double)stats.running, .most = stats.threads, .waiting = (double)stats.queued};
}

Pool *pool_new(Runtime *rt, PoolOptions *options) {
  Pool *pool = allocate();
  if (!pool) {
    transfer_free(&options->preload);
    transfer_free(&options->init);
    return NULL;
  }
  pool->rt = rt;
  pool->open = rt->open;
  pool->enter_log = options->enter_log;
  pool->modules = rt->added_modules.last;
  pool->threads = options->threads;
  pool->max_threads = options->max_threads;
  pool->idle_timeout = (uint64_t)(options->idle_timeout * 1e9);
  pool->jobs_block = true;
  pool->max_queued = options->queue;
  pool->max_jobs = options->max_jobs;
  pool->max_memory = options->max_memory;
  pool->max_message = options->max_message;
  pool->nice = options->nice;
  pool->preload = options->preload;
  options->preload = (TransferMessage){0};
  pool->init = options->init;
  options->init = (TransferMessage){0};
  pool->may_spin = uv_available_parallelism() > 1;
  pool->queue.tail = &pool->queue.head;
  pool->finished.tail = &pool->finished.head;
  pool->room_waits.tail = &pool->room_waits.head;
  pool->close_waits.tail = &pool->close_waits.head;
  pool->workers = calloc((size_t)options->max_threads, sizeof *pool->workers);
  if (!pool_set_paths(pool, options->path, options->cpath) || !pool->workers ||
      uv_async_init(&rt->loop, &pool->async, on_async) != 0) {
    pool_free(pool);
    return NULL;
  }
  uv_unref((uv_handle_t *)&pool->async);
  pool->refs = 2;
  pool->spin_hook.run = spin;
  pool->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &pool->close_hook);
  pool->source.figures = figures;
  pool_source_add(rt, &pool->source);
  return pool;
}

void pool_release(Pool *pool) {
  if (--pool->refs == 0)
    pool_free(pool);
  else if (!pool->closing)
    pool_close(pool);
}
