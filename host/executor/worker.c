#include "executor/worker.h"

#include "base/clock.h"
#include "core/give_back.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Deep recursion in C (patterns, the parser) and TLS need room; pages that are not used cost
   nothing. */
#define STACK_SIZE ((size_t)4 << 20)
/* How long it sleeps before it returns memory left by its jobs. */
#define GIVE_BACK_NS 1000000000u
/* How long an idle worker looks for the next job before it sleeps: waking a thread takes longer. */
#define SPIN_NS 50000u

void worker_interrupt(Worker *w) {
  if (w->state >= WORKER_LEFT) return;
  pthread_kill(w->thread, INTERRUPT_SIGNAL);
  if (w->has_async) uv_async_send(&w->async);
}

static void unlist_idle(Worker *w) {
  Worker **link = &w->pool->idle;
  while (*link != w) link = &(*link)->next_idle;
  *link = w->next_idle;
}

void worker_wake(Worker *w) {
  unlist_idle(w);
  if (w->state == WORKER_SLEEPING) sem_post(&w->wake);
  if (w->state == WORKER_LOOPING) uv_async_send(&w->async);
  w->state = WORKER_BUSY;
}

/* Takes no more jobs. The lock is held. */
static void set_leaving(Worker *w) {
  w->state = WORKER_LEAVING;
  w->pool->stats.threads--;
}

void worker_dismiss(Worker *w) {
  unlist_idle(w);
  set_leaving(w);
  sem_post(&w->wake);
}

/* --- the thread --- */

/* Does the loop have anything left to do? */
static bool has_loop_work(Worker *w) {
  return w->rt &&
         (w->rt->scheduler.ready.head || w->rt->tasks.live > 0 || uv_loop_alive(&w->rt->loop));
}

static bool was_called(void *data) {
  Worker *w = data;
  uv_mutex_lock(&w->pool->lock);
  bool called = w->state != WORKER_LOOPING;
  uv_mutex_unlock(&w->pool->lock);
  return called;
}

/* Waits for `wake`, at most `timeout` nanoseconds. False if it did not come. */
static bool wait_for_wake(Worker *w, uint64_t timeout) {
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  timeout += (uint64_t)end.tv_nsec;
  end.tv_sec += (time_t)(timeout / 1000000000u);
  end.tv_nsec = (long)(timeout % 1000000000u);
  while (sem_clockwait(&w->wake, CLOCK_MONOTONIC, &end) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

/* Returns memory of the worker's state. True if it was woken meanwhile. */
static bool give_memory_back(Worker *w) {
  give_back_when_idle(w->rt);
  while (w->rt->give_back.works) {
    give_back_step(w->rt);
    if (sem_trywait(&w->wake) == 0) return true;
  }
  return false;
}

/* The worker sleeps until it is woken. An extra thread leaves when it has slept for long. */
static void sleep_until_woken(Worker *w, bool is_extra) {
  Pool *pool = w->pool;
  if (is_extra) {
    if (wait_for_wake(w, pool->idle_timeout)) return;
    uv_mutex_lock(&pool->lock);
    if (w->state == WORKER_SLEEPING && pool->stats.threads > pool->threads) {
      unlist_idle(w);
      set_leaving(w);
    }
    bool leaves = w->state == WORKER_LEAVING;
    uv_mutex_unlock(&pool->lock);
    if (leaves) return;
  }
  if (w->rt && (wait_for_wake(w, GIVE_BACK_NS) || give_memory_back(w))) return;
  while (sem_wait(&w->wake) != 0) { /* a signal came */
  }
}

/* The worker is on the idle list, spinning: waits until it is woken, or leaves. */
static void wait_until_woken(Worker *w) {
  Pool *pool = w->pool;
  int cpu = sched_getcpu(); /* the owner could not run on this core meanwhile */
  if (pool->may_spin && cpu != atomic_load_explicit(&pool->owner_cpu, memory_order_relaxed)) {
    uint64_t end = uv_hrtime() + SPIN_NS;
    while (uv_hrtime() < end) {
      if (atomic_load_explicit(&w->job, memory_order_acquire)) return;
    }
  }
  bool looping = has_loop_work(w);
  uv_mutex_lock(&pool->lock);
  bool woken = w->state == WORKER_BUSY;
  if (!woken) w->state = looping && w->has_async ? WORKER_LOOPING : WORKER_SLEEPING;
  uint8_t state = w->state;
  bool is_extra = pool->stats.threads > pool->threads;
  uv_mutex_unlock(&pool->lock);
  if (woken) return;
  if (state == WORKER_LOOPING) {
    if (runtime_run(w->rt, was_called, w)) return;
    uv_mutex_lock(&pool->lock); /* the loop has nothing left to do */
    woken = w->state == WORKER_BUSY;
    if (!woken) w->state = WORKER_SLEEPING;
    uv_mutex_unlock(&pool->lock);
    if (woken) return;
  }
  sleep_until_woken(w, is_extra);
}

/* Takes the next job from the queue. The lock is held. */
static Job *take_queued(Pool *pool, Worker *w) {
  Job *job = pool_job_list_take(&pool->queue);
  if (!job) return NULL;
  job->state = JOB_RUNNING;
  job->worker = w;
  pool->stats.queued--;
  pool->stats.running++;
  atomic_store_explicit(&w->job, job, memory_order_relaxed);
  return job;
}

/* Counts `finished` and puts it on the owner's list. The lock is held. */
static void give_back(Pool *pool, Worker *w, Job *finished, uint64_t now) {
  uint64_t run = now - finished->started_at;
  uint64_t mean = pool->mean_run_ns;
  w->stats.jobs++;
  pool->mean_run_ns = mean == 0 ? run : mean - mean / 8 + run / 8;
  pool->stats.wait_seconds += (double)(finished->started_at - finished->queued_at) / 1e9;
  pool->stats.running--;
  if (atomic_load(&finished->cancelled)) {
    /* counted when it was cancelled */
  } else if (finished->outcome == JOB_RETURNED) {
    pool->stats.done++;
  } else {
    pool->stats.failed++;
  }
  finished->state = JOB_FINISHED;
  pool_job_list_add(&pool->finished, finished);
  atomic_store(&w->job, NULL);
  atomic_store_explicit(&pool->has_finished, true, memory_order_release);
}

/* Takes the next job from the queue or joins the idle list. True if the thread should leave. The
   lock is held. */
static bool take_or_idle(Pool *pool, Worker *w, Job **job) {
  if (pool->surplus > 0 && pool->stats.threads > pool->threads && !has_loop_work(w)) {
    pool->surplus--;
    set_leaving(w);
    return true;
  }
  *job = take_queued(pool, w);
  if (*job) return false;
  if (pool->stopping) return true;
  w->state = WORKER_SPINNING;
  w->next_idle = pool->idle;
  pool->idle = w;
  pool->had_idle = true;
  return false;
}

/* Returns `finished` to the owner and gets the next job, or NULL if the thread should leave. */
static Job *next_job(Worker *w, Job *finished) {
  Pool *pool = w->pool;
  Job *job = NULL;
  uint64_t now = uv_hrtime();
  size_t memory = w->rt ? (size_t)lua_gc(w->rt->L, LUA_GCCOUNT) * 1024 : 0;
  bool worn = worker_state_is_worn(w), leave = false;
  progress_end(finished->progress);
  uv_mutex_lock(&pool->lock);
  w->stats.memory = memory;
  give_back(pool, w, finished, now);
  bool tell = !pool->owner_spins;
  if (worn)
    pool->stats.recycled++;
  else
    leave = take_or_idle(pool, w, &job);
  uv_mutex_unlock(&pool->lock);
  if (tell) uv_async_send(&pool->async);
  if (worn) { /* it gets no job meanwhile */
    worker_state_close(w, "the worker's state is being replaced");
    worker_state_open(w);
    uv_mutex_lock(&pool->lock);
    leave = take_or_idle(pool, w, &job);
    uv_mutex_unlock(&pool->lock);
  }
  while (!job && !leave) {
    wait_until_woken(w);
    uv_mutex_lock(&pool->lock);
    job = atomic_load(&w->job);
    leave = !job && (pool->stopping || w->state == WORKER_LEAVING);
    uv_mutex_unlock(&pool->lock);
  }
  if (job) {
    job->started_at = uv_hrtime();
    atomic_store_explicit(&w->cpu, sched_getcpu(), memory_order_relaxed);
  }
  return job;
}

/* On Linux each thread has its own nice value, which anyone may raise. If that fails, the worker
   still works, but competes with the loop for the cores. */
static void be_nice(int by) {
  if (by > 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + by);
}

static void worker_main(void *arg) {
  Worker *w = arg;
  Pool *pool = w->pool;
  sigset_t others; /* signals are for the owner's thread */
  sigfillset(&others);
  sigdelset(&others, INTERRUPT_SIGNAL);
  pthread_sigmask(SIG_SETMASK, &others, NULL);
  be_nice(pool->nice);
  worker_state_open(w);
  uv_mutex_lock(&pool->lock);
  w->thread_id = gettid();
  w->has_clock = pthread_getcpuclockid(pthread_self(), &w->clock) == 0;
  uv_mutex_unlock(&pool->lock);
  Job *job = atomic_load(&w->job);
  for (job->started_at = uv_hrtime(); job; job = next_job(w, job)) worker_job_run(w, job);
  worker_state_close(w, "the pool is closing");
  uv_mutex_lock(&pool->lock);
  w->has_clock = false;
  w->stats.cpu_seconds += (double)clock_thread_cpu() / 1e9;
  w->stats.memory = 0;
  if (w->state != WORKER_LEAVING) pool->stats.threads--;
  w->state = WORKER_LEFT;
  pool->has_left = true;
  pool->alive--;
  uv_async_send(&pool->async);
  uv_cond_signal(&pool->left);
  uv_mutex_unlock(&pool->lock);
}

/* A worker without a thread, or NULL. The lock is held. */
static Worker *free_worker(Pool *pool) {
  for (int i = 0; i < pool->stats.workers; i++) {
    if (pool->workers[i]->state == WORKER_JOINED) return pool->workers[i];
  }
  if (pool->stats.workers == pool->max_threads) return NULL; /* some are still leaving */
  Worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->pool = pool;
  w->state = WORKER_JOINED;
  pool->workers[pool->stats.workers++] = w;
  return w;
}

/* Gives the worker a thread. The lock is held. */
static int start_thread(Worker *w) {
  uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_SIZE};
  if (sem_init(&w->wake, 0, 0) != 0) return UV_ENOMEM;
  w->state = WORKER_BUSY;
  int rc = uv_thread_create_ex(&w->thread, &options, worker_main, w);
  if (rc == 0) return 0;
  w->state = WORKER_JOINED;
  sem_destroy(&w->wake);
  return rc;
}

int worker_start(Pool *pool, Job *job) {
  Worker *w = free_worker(pool);
  if (!w) return UV_ENOMEM;
  atomic_store(&w->job, job);
  atomic_store(&w->cpu, -1);
  w->usage = (ThreadUsage){.at = uv_hrtime()};
  int rc = start_thread(w);
  if (rc != 0) {
    atomic_store(&w->job, NULL);
    return rc;
  }
  job->state = JOB_RUNNING;
  job->worker = w;
  pool->stats.running++;
  pool->stats.threads++;
  pool->alive++;
  return 0;
}

void worker_join(Worker *w) {
  uv_mutex_lock(&w->pool->lock);
  bool has_thread = w->state != WORKER_JOINED;
  uv_mutex_unlock(&w->pool->lock);
  if (!has_thread) return;
  uv_thread_join(&w->thread);
  sem_destroy(&w->wake);
  uv_mutex_lock(&w->pool->lock);
  w->state = WORKER_JOINED;
  uv_mutex_unlock(&w->pool->lock);
}
