#include "core/remote.h"

#include "core/task.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* How long a stretch of Lua may continue after a stop, and how often it is checked. */
#define STOP_PERIOD_NS 100000000u

struct ml_Completion {
  ml_Completion *next; /* among the signalled */
  Remote *remote;
  Waker waker;
  void *op;
  void (*dropped)(void *op);
};

static void release(Remote *remote) {
  if (atomic_fetch_sub(&remote->refs, 1) > 1) return;
  uv_mutex_destroy(&remote->lock);
  free(remote);
}

/* Takes the list of signalled ones; `closing`: later ones take care of themselves. */
static ml_Completion *take_signalled(Remote *remote, bool closing) {
  uv_mutex_lock(&remote->lock);
  ml_Completion *list = remote->signalled;
  remote->signalled = NULL;
  remote->tail = &remote->signalled;
  if (closing) remote->closed = true;
  uv_mutex_unlock(&remote->lock);
  return list;
}

static void forget(ml_Completion *c) {
  Remote *remote = c->remote;
  free(c);
  release(remote);
}

static void deliver(Remote *remote, ml_Completion *list) {
  for (ml_Completion *c; (c = list);) {
    list = c->next;
    remote->outstanding--;
    if (!ml_wait_wake(c->waker)) c->dropped(c->op);
    forget(c);
  }
}

static void keep_alive(Remote *remote) {
  if (remote->outstanding > 0)
    uv_ref((uv_handle_t *)&remote->async);
  else
    uv_unref((uv_handle_t *)&remote->async);
}

void remote_check_stop(Remote *remote) {
  if (!remote->main || !atomic_exchange(&remote->stop, false)) return;
  main_task_stop(remote->main, "stopped", ML_STOPPED);
  remote->since = uv_hrtime();
}

/* The timer runs until the run has ended: a single interrupt could hit the host between two tasks,
   or a task that keeps computing after its cancel. Safe in signal handlers. */
static void set_timer(Remote *remote, uint64_t period) {
  struct timespec time = {(time_t)(period / 1000000000u), (long)(period % 1000000000u)};
  if (remote->has_timer) timer_settime(remote->timer, 0, &(struct itimerspec){time, time}, NULL);
}

void remote_run_begins(Remote *remote, MainTask *main) {
  remote->main = main;
  atomic_store(&remote->running, true);
  if (atomic_load(&remote->stop)) set_timer(remote, STOP_PERIOD_NS);
}

/* Waits for an ml_stop under way, which may be about to set the timer or use the handle. */
static void await_stopping(Remote *remote) {
  while (atomic_load(&remote->stopping) > 0) sched_yield();
}

void remote_run_over(Remote *remote) {
  remote->main = NULL;
  atomic_store(&remote->running, false);
  await_stopping(remote);
  set_timer(remote, 0);
}

static Remote *of_interrupt(Interrupt *interrupt) {
  return container_of(interrupt, Remote, interrupt);
}

/* In the signal handler. After the tasks have been told to stop, a stretch of Lua that does not end
   has this long before it is interrupted (again). */
static bool interrupt_wanted(Interrupt *interrupt, Runtime *rt) {
  Remote *remote = of_interrupt(interrupt);
  if (atomic_load(&remote->stop)) return true;
  if (!remote->main || !remote->main->stopped) return false;
  uint32_t step = atomic_load_explicit(&rt->scheduler.step, memory_order_relaxed);
  if (step != remote->step) {
    remote->step = step;
    remote->since = uv_hrtime();
  }
  return uv_hrtime() - remote->since >= STOP_PERIOD_NS;
}

/* In the interrupted task. */
static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)ar;
  Remote *remote = of_interrupt(interrupt);
  if (!interrupt_wanted(interrupt, runtime_of(L))) return;
  remote_check_stop(remote);
  remote->since = uv_hrtime();
  ml_wait_check_cancel(L);
}

static void on_async(uv_async_t *async) {
  Remote *remote = async->data;
  deliver(remote, take_signalled(remote, false));
  keep_alive(remote);
  remote_check_stop(remote);
}

static void on_closed(uv_handle_t *async) { release(async->data); }

static void close_remote(CloseHook *hook, Runtime *rt) {
  Remote *remote = container_of(hook, Remote, close);
  /* The run may have ended, and its runtime been closed, before the ml_stop that ended it has
     returned. */
  await_stopping(remote);
  if (remote->has_timer) timer_delete(remote->timer);
  rt->remote = NULL;
  interrupt_remove(rt, &remote->interrupt);
  deliver(remote, take_signalled(remote, true));
  uv_close((uv_handle_t *)&remote->async, on_closed);
}

Remote *remote_of(Runtime *rt) {
  if (rt->remote) return rt->remote;
  Remote *remote = calloc(1, sizeof *remote);
  if (!remote) return NULL;
  remote->close.close = close_remote;
  remote->tail = &remote->signalled;
  atomic_init(&remote->refs, 1);
  if (uv_mutex_init(&remote->lock) != 0) {
    free(remote);
    return NULL;
  }
  if (uv_async_init(&rt->loop, &remote->async, on_async) != 0) {
    release(remote);
    return NULL;
  }
  remote->async.data = remote;
  remote->thread = pthread_self();
  remote->has_timer = interrupt_timer_new(&remote->timer);
  remote->interrupt.wanted = interrupt_wanted;
  remote->interrupt.act = interrupt_act;
  interrupt_add(rt, &remote->interrupt);
  keep_alive(remote);
  ml_runtime_on_close(rt, &remote->close);
  return rt->remote = remote;
}

ml_Completion *ml_completion_new(Task *t, void *op, void (*dropped)(void *op)) {
  Remote *remote = remote_of(t->rt);
  ml_Completion *c = remote ? malloc(sizeof *c) : NULL;
  if (!c) return NULL;
  *c = (ml_Completion){.remote = remote, .waker = ml_wait_waker(t), .op = op, .dropped = dropped};
  atomic_fetch_add(&remote->refs, 1);
  remote->outstanding++;
  keep_alive(remote);
  return c;
}

void ml_completion_discard(ml_Completion *c) {
  c->remote->outstanding--;
  keep_alive(c->remote);
  forget(c);
}

void ml_completion_signal(ml_Completion *c) {
  Remote *remote = c->remote;
  uv_mutex_lock(&remote->lock);
  bool closed = remote->closed;
  if (!closed) {
    c->next = NULL;
    *remote->tail = c;
    remote->tail = &c->next;
    uv_async_send(&remote->async); /* under the lock: the handle cannot be closed meanwhile */
  }
  uv_mutex_unlock(&remote->lock);
  if (!closed) return;
  c->dropped(c->op);
  forget(c);
}

void ml_stop(Runtime *rt) {
  Remote *remote = rt->remote;
  int error = errno; /* a signal handler must not touch it */
  atomic_fetch_add(&remote->stopping, 1);
  atomic_store(&remote->stop, true);
  uv_async_send(&remote->async);
  pthread_kill(remote->thread, INTERRUPT_SIGNAL);
  if (atomic_load(&remote->running)) set_timer(remote, STOP_PERIOD_NS);
  atomic_fetch_sub(&remote->stopping, 1);
  errno = error;
}
