#include "sql/pg/pg_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define LAST_WAIT 2000000000u /* nanoseconds that the runtime's end waits for urgent calls */

/* The calls of a runtime. Lives until the runtime has closed and the last thread has ended. */
typedef struct PgThreads {
  CloseHook close;
  uv_async_t async;
  int holders; /* the loop's thread only */

  uv_mutex_t lock; /* of what follows */
  uv_cond_t less;  /* there are less urgent ones */
  unsigned threads, urgent;
  bool closed, gone;     /* the runtime; and its handle */
  PgThread *over, **end; /* calls that the loop has to be told of */
} PgThreads;

static void threads_free(PgThreads *all) {
  uv_mutex_destroy(&all->lock);
  uv_cond_destroy(&all->less);
  free(all);
}

static void *work(void *data) {
  PgThread *call = data;
  PgThreads *all = call->all;
  call->run(call);
  uv_mutex_lock(&all->lock);
  bool drop = all->closed || call->abandoned;
  if (!drop) {
    call->over = true;
    call->next = NULL;
    *all->end = call;
    all->end = &call->next;
    uv_async_send(&all->async);
  }
  bool is_last = --all->threads == 0 && all->gone;
  all->urgent -= call->is_urgent;
  uv_cond_signal(&all->less);
  uv_mutex_unlock(&all->lock);
  if (drop) call->drop(call);
  if (is_last) threads_free(all);
  return NULL;
}

static void on_async(uv_async_t *async) {
  PgThreads *all = container_of(async, PgThreads, async);
  for (;;) {
    uv_mutex_lock(&all->lock);
    PgThread *call = all->over;
    if (call) {
      all->over = call->next;
      if (!all->over) all->end = &all->over;
    }
    bool abandoned = call && call->abandoned;
    uv_mutex_unlock(&all->lock);
    if (!call) return;
    if (abandoned)
      call->drop(call);
    else
      call->done(call);
  }
}

static void on_closed(uv_handle_t *handle) {
  PgThreads *all = container_of((uv_async_t *)handle, PgThreads, async);
  uv_mutex_lock(&all->lock);
  all->gone = true;
  bool is_last = !all->threads;
  uv_mutex_unlock(&all->lock);
  if (is_last) threads_free(all);
}

/* The process may end behind this, and its threads with it. Under the lock. */
static void wait_for_urgent(PgThreads *all) {
  uint64_t until = uv_hrtime() + LAST_WAIT;
  for (uint64_t now; all->urgent && (now = uv_hrtime()) < until;)
    uv_cond_timedwait(&all->less, &all->lock, until - now);
}

static void close_threads(CloseHook *hook, Runtime *rt) {
  (void)rt;
  PgThreads *all = container_of(hook, PgThreads, close);
  uv_mutex_lock(&all->lock);
  wait_for_urgent(all);
  all->closed = true;
  PgThread *over = all->over;
  all->over = NULL;
  all->end = &all->over;
  uv_mutex_unlock(&all->lock);
  for (PgThread *next; over; over = next) {
    next = over->next;
    over->drop(over);
  }
  uv_close((uv_handle_t *)&all->async, on_closed);
}

static PgThreads *threads_new(Runtime *rt) {
  PgThreads *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  all->close.close = close_threads;
  all->end = &all->over;
  if (uv_mutex_init(&all->lock)) {
    free(all);
    return NULL;
  }
  if (uv_cond_init(&all->less)) {
    uv_mutex_destroy(&all->lock);
    free(all);
    return NULL;
  }
  if (uv_async_init(&rt->loop, &all->async, on_async)) {
    threads_free(all);
    return NULL;
  }
  uv_unref((uv_handle_t *)&all->async);
  ml_runtime_on_close(rt, &all->close);
  return all;
}

/* The runtime's, made at first use: its close hook is how it is found again. */
static PgThreads *threads_of(Runtime *rt) {
  for (CloseHook *hook = rt->close_hooks; hook; hook = hook->next)
    if (hook->close == close_threads) return container_of(hook, PgThreads, close);
  return threads_new(rt);
}

/* A detached thread that gets none of the process's signals. */
static int start(PgThread *call) {
  pthread_t thread;
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  int error = pthread_create(&thread, NULL, work, call);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return uv_translate_sys_error(error);
  pthread_detach(thread);
  return 0;
}

bool pg_thread_open(Runtime *rt) { return threads_of(rt); }

int pg_thread_start(Runtime *rt, PgThread *call) {
  PgThreads *all = threads_of(rt);
  if (!all) return UV_ENOMEM;
  call->all = all;
  call->over = call->abandoned = false;
  uv_mutex_lock(&all->lock);
  int error = all->closed ? UV_ECANCELED : start(call);
  if (!error) {
    all->threads++;
    all->urgent += call->is_urgent;
  }
  uv_mutex_unlock(&all->lock);
  return error;
}

void pg_thread_abandon(PgThread *call) {
  uv_mutex_lock(&call->all->lock);
  call->abandoned = true;
  uv_mutex_unlock(&call->all->lock);
}

bool pg_thread_is_abandoned(PgThread *call) {
  uv_mutex_lock(&call->all->lock);
  bool abandoned = call->abandoned || call->all->closed;
  uv_mutex_unlock(&call->all->lock);
  return abandoned;
}

void pg_thread_hold(Runtime *rt, int change) {
  PgThreads *all = threads_of(rt);
  if (!all || all->closed) return;
  all->holders += change;
  if (all->holders)
    uv_ref((uv_handle_t *)&all->async);
  else
    uv_unref((uv_handle_t *)&all->async);
}
