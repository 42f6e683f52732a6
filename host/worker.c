#include "worker.h"

#include "scope.h"
#include "transfer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

/* Deep recursion in C (patterns, the parser) and TLS need room; pages that are not used cost
   nothing. */
#define STACK_SIZE ((size_t)4 << 20)
/* How long an idle worker looks for the next job before it sleeps: waking a thread takes longer. */
#define SPIN_NS 50000u
/* Lua instructions that clean-up may run before a cancelled job is interrupted once more. */
#define CLEANUP_INSTRUCTIONS 1000000

/* --- interrupting --- */

static bool must_stop(const Worker *w) {
  Job *job = atomic_load_explicit(&w->job, memory_order_relaxed);
  return atomic_load(&w->abort) || (job && atomic_load(&job->cancelled));
}

/* Cancels the tasks that are to end: the job's, or all. Does not enter Lua. */
static void cancel_tasks(Worker *w) {
  bool all = atomic_load(&w->abort);
  if (!all && (!w->task || w->task->cancelled)) return;
  CancelCause *cause = cause_new(w->rt, all ? "the pool is closing" : "the caller was cancelled");
  if (!cause) return; /* it is tried again */
  if (w->task) task_cancel(w->task, cause);
  if (all) {
    for (Task *t = w->rt->roots; t; t = t->sibling) task_cancel(t, cause);
  }
  cause_drop(cause);
}

/* In the signal handler. Clean-up that has been interrupted before has its allowance. */
static bool interrupt_wanted(Interrupt *interrupt, Runtime *rt) {
  const Worker *w = rt->user;
  (void)interrupt;
  return must_stop(w) && rt->running && !interrupt_is_armed(rt->running);
}

/* In the interrupted coroutine, or in one that inherited the hook, which stays until the job has
   ended, for Lua code that catches everything. */
static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)interrupt;
  (void)ar;
  Worker *w = runtime_of(L)->user;
  if (!must_stop(w)) return;
  interrupt_arm(L, CLEANUP_INSTRUCTIONS);
  cancel_tasks(w);
  CancelCause *cause = w->rt->current ? scope_pending(w->rt->current) : NULL;
  if (!cause) return;
  cause_push_error(L, cause);
  lua_error(L);
}

/* The loop was woken: what waits in it is cancelled here, what runs was caught by the signal. */
static void on_wake(uv_async_t *async) {
  Worker *w = async->data;
  if (must_stop(w)) cancel_tasks(w);
}

void worker_interrupt(Worker *w) {
  pthread_kill(w->thread, INTERRUPT_SIGNAL);
  if (w->has_async) uv_async_send(&w->async);
}

void worker_wake(Worker *w) {
  Worker **link = &w->pool->idle;
  while (*link != w) link = &(*link)->next_idle;
  *link = w->next_idle;
  if (w->state == WORKER_SLEEPING) uv_sem_post(&w->wake);
  if (w->state == WORKER_LOOPING) uv_async_send(&w->async);
  w->state = WORKER_BUSY;
}

/* --- a job --- */

static int l_push_text(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

/* The value on the top of L was raised: packs it, or why it cannot be, with the traceback. */
static void pack_error(lua_State *L, Job *job, const char *traceback) {
  job->outcome = JOB_LOST;
  if (!lua_checkstack(L, 4)) return;
  int error = lua_gettop(L);
  lua_pushvalue(L, error);
  lua_pushcfunction(L, l_push_text);
  lua_pushlightuserdata(L, (void *)traceback); /* NULL becomes nil */
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return;
  if (!transfer_pack(L, -2, 2, "the error", &job->message)) {
    lua_replace(L, error + 1); /* the text that says why, instead of the error */
    if (!transfer_pack(L, error + 1, 2, "the error", &job->message)) return;
  }
  job->outcome = JOB_RAISED;
}

/* The end of the job's task. */
static void on_job_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  Worker *w = container_of(owner, Worker, owner);
  Job *job = atomic_load(&w->job);
  w->task = NULL;
  if (interrupt_is_armed(L)) lua_sethook(L, NULL, 0, 0);
  if (atomic_load(&job->cancelled)) return; /* nobody wants it */
  if (t->status == TASK_DONE && transfer_pack(L, 1, lua_gettop(L), "result #", &job->message)) {
    job->outcome = JOB_RETURNED;
  } else {
    pack_error(L, job, traceback);
  }
}

/* Protected: (worker as light userdata). Unpacks the call and starts the task. */
static int l_start(lua_State *L) {
  Worker *w = lua_touserdata(L, 1);
  Job *job = atomic_load(&w->job);
  int n = transfer_unpack(L, job->message.data, job->message.len);
  if (n < 0) return lua_error(L);
  w->owner.ended = on_job_ended;
  w->task = task_start(L, w->rt, NULL, n - 1, &w->owner);
  w->task->name = "job";
  return 0;
}

static bool job_over(void *data) { return !((Worker *)data)->task; }

/* Runs the job's task to its end. */
static void run_task(Worker *w) {
  static const char deadlock[] = "the job waits for something that can no longer happen";
  for (int tries = 0; !runtime_run(w->rt, job_over, w) && w->task; tries++) {
    CancelCause *cause = cause_new(w->rt, deadlock);
    if (cause && tries == 0) {
      task_cancel(w->task, cause);
    } else { /* it does not even end when it is cancelled */
      w->task->owner = NULL;
      w->task = NULL;
    }
    cause_drop(cause);
  }
  w->rt->stopping = false; /* os.exit in a job ends the job */
}

static void run_job(Worker *w, Job *job) {
  job->outcome = JOB_LOST;
  if (!w->rt || atomic_load(&job->cancelled)) return;
  lua_State *L = w->rt->L;
  lua_pushcfunction(L, l_start);
  lua_pushlightuserdata(L, w);
  int status = lua_pcall(L, 1, 0, 0);
  job->message.len = 0; /* the outcome takes the call's place */
  if (status == LUA_OK) {
    run_task(w);
  } else {
    pack_error(L, job, NULL);
    lua_settop(L, 0);
  }
}

/* --- the thread --- */

/* Is there anything that the loop would have to go on with? */
static bool has_loop_work(Worker *w) {
  return w->rt && (w->rt->ready.head || w->rt->live > 0 || uv_loop_alive(&w->rt->loop));
}

static bool was_called(void *data) {
  Worker *w = data;
  uv_mutex_lock(&w->pool->lock);
  bool called = w->state == WORKER_BUSY;
  uv_mutex_unlock(&w->pool->lock);
  return called;
}

/* The worker is on the idle list, spinning: waits until it is woken. */
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
  uv_mutex_unlock(&pool->lock);
  if (woken) return;
  if (state == WORKER_LOOPING) {
    if (runtime_run(w->rt, was_called, w)) return;
    uv_mutex_lock(&pool->lock); /* the loop has run dry */
    woken = w->state == WORKER_BUSY;
    if (!woken) w->state = WORKER_SLEEPING;
    uv_mutex_unlock(&pool->lock);
    if (woken) return;
  }
  uv_sem_wait(&w->wake);
}

/* Takes the next job from the queue. The lock is held. */
static Job *take_queued(Pool *pool, Worker *w) {
  Job *job = job_list_take(&pool->queue);
  if (!job) return NULL;
  job->state = JOB_RUNNING;
  job->worker = w;
  pool->stats.queued--;
  pool->stats.running++;
  atomic_store_explicit(&w->job, job, memory_order_relaxed);
  return job;
}

/* Gives `finished` back to the owner and returns the next job, or NULL: the thread is to leave. */
static Job *next_job(Worker *w, Job *finished) {
  Pool *pool = w->pool;
  uint64_t now = uv_hrtime();
  uv_mutex_lock(&pool->lock);
  bool tell = false;
  if (finished) {
    uint64_t run = now - finished->started_at;
    pool->mean_run_ns = pool->mean_run_ns - pool->mean_run_ns / 8 + run / 8;
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
    job_list_add(&pool->finished, finished);
    atomic_store(&w->job, NULL);
    atomic_store_explicit(&pool->has_finished, true, memory_order_release);
    tell = !pool->owner_spins;
  }
  Job *job = take_queued(pool, w);
  bool leave = !job && pool->stopping;
  if (!job && !leave) {
    w->state = WORKER_SPINNING;
    w->next_idle = pool->idle;
    pool->idle = w;
  }
  uv_mutex_unlock(&pool->lock);
  if (tell) uv_async_send(&pool->async);
  while (!job && !leave) {
    wait_until_woken(w);
    uv_mutex_lock(&pool->lock);
    job = atomic_load(&w->job);
    leave = !job && pool->stopping;
    uv_mutex_unlock(&pool->lock);
  }
  if (job) {
    job->started_at = uv_hrtime();
    atomic_store_explicit(&w->cpu, sched_getcpu(), memory_order_relaxed);
  }
  return job;
}

/* Protected: (pool as light userdata). Modules are found where the owner finds them. */
static int l_set_paths(lua_State *L) {
  const Pool *pool = lua_touserdata(L, 1);
  lua_getglobal(L, "package");
  lua_pushstring(L, pool->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, pool->cpath);
  lua_setfield(L, -2, "cpath");
  return 0;
}

/* Makes the runtime; without one, every job is lost, and says so. */
static void open_runtime(Worker *w) {
  Runtime *rt = runtime_new();
  if (!rt) return;
  rt->user = w;
  if (uv_async_init(&rt->loop, &w->async, on_wake) != 0) {
    runtime_close(rt);
    return;
  }
  w->async.data = w;
  uv_unref((uv_handle_t *)&w->async);
  lua_pushcfunction(rt->L, l_set_paths);
  lua_pushlightuserdata(rt->L, w->pool);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
  w->rt = rt;
  w->interrupt = (Interrupt){NULL, interrupt_wanted, interrupt_act};
  interrupt_add(rt, &w->interrupt);
  uv_mutex_lock(&w->pool->lock);
  w->has_async = true;
  uv_mutex_unlock(&w->pool->lock);
}

static void close_runtime(Worker *w) {
  if (!w->rt) return;
  runtime_cancel_all(w->rt, "the pool is closing", 5.0);
  interrupt_remove(w->rt, &w->interrupt);
  uv_mutex_lock(&w->pool->lock);
  w->has_async = false;
  uv_mutex_unlock(&w->pool->lock);
  uv_close((uv_handle_t *)&w->async, NULL);
  runtime_close(w->rt);
}

static void worker_main(void *arg) {
  Worker *w = arg;
  Pool *pool = w->pool;
  sigset_t others; /* are for the owner's thread */
  sigfillset(&others);
  sigdelset(&others, INTERRUPT_SIGNAL);
  pthread_sigmask(SIG_SETMASK, &others, NULL);
  open_runtime(w);
  Job *job = atomic_load(&w->job);
  for (job->started_at = uv_hrtime(); job; job = next_job(w, job)) run_job(w, job);
  close_runtime(w);
  uv_mutex_lock(&pool->lock);
  pool->alive--;
  uv_async_send(&pool->async);
  uv_cond_signal(&pool->left);
  uv_mutex_unlock(&pool->lock);
}

int worker_start(Pool *pool, Job *job, Worker **worker) {
  Worker *w = calloc(1, sizeof *w);
  if (!w) return UV_ENOMEM;
  w->pool = pool;
  atomic_init(&w->job, job);
  atomic_init(&w->cpu, -1);
  int rc = uv_sem_init(&w->wake, 0);
  if (rc == 0) {
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_SIZE};
    rc = uv_thread_create_ex(&w->thread, &options, worker_main, w);
    if (rc != 0) uv_sem_destroy(&w->wake);
  }
  if (rc != 0) {
    free(w);
    return rc;
  }
  pool->alive++;
  *worker = w;
  return 0;
}

void worker_join(Worker *w) {
  uv_thread_join(&w->thread);
  uv_sem_destroy(&w->wake);
  free(w);
}
