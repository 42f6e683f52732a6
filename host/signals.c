#include "signals.h"

#include "scope.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* The only state of the process: a signal handler gets no argument of ours. */
static struct {
  Signals *signals;
  pthread_t thread;
  void (*loop_handler)(int signum); /* libuv's, which wakes the loop */
  volatile sig_atomic_t unseen;     /* a signal the loop has not been told of */
  volatile sig_atomic_t count;
} caught;

void signals_raise(Signals *s, int signum) {
  if (ml_wait_wake(s->waiter) || (s->keep && !s->foreground))
    s->taken = signum;
  else
    s->on_signal(s, signum);
}

static void deliver(Signals *s, int signum) {
  caught.unseen = 0;
  signals_raise(s, signum);
}

static bool interrupt_wanted(Interrupt *interrupt, Runtime *rt) {
  (void)interrupt;
  (void)rt;
  return caught.unseen != 0;
}

/* In the task that was running when the signal came, before its next instruction: breaks it off if
   the signal cancelled it. */
static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)ar;
  Signals *s = container_of(interrupt, Signals, interrupt);
  if (!caught.unseen) return; /* the loop was faster */
  deliver(s, caught.unseen);
  Task *t = s->rt->current;
  if (!t || !t->cancel_pending) return;
  cause_push_error(L, scope_pending(t));
  lua_error(L);
}

static void on_os_signal(int signum) {
  if (!pthread_equal(pthread_self(), caught.thread)) { /* hooks are set on the loop's thread only */
    pthread_kill(caught.thread, signum);
    return;
  }
  Signals *s = caught.signals;
  if (!s) return;
  if (s->second_ends && caught.count++ > 0) _exit(128 + signum);
  caught.unseen = signum;
  caught.loop_handler(signum);
  /* As lua.c does: a task that computes would keep the loop from seeing the signal. */
  if (s->rt->current && s->rt->running) interrupt_arm(s->rt->running, 1);
}

static void on_loop_signal(uv_signal_t *handle, int signum) {
  if (caught.unseen) deliver(handle->data, signum);
}

static void close_signals(CloseHook *hook, Runtime *rt) {
  Signals *s = container_of(hook, Signals, close);
  caught.signals = NULL;
  interrupt_remove(rt, &s->interrupt);
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&s->handles[i], NULL);
}

int signals_open(Signals *s, Runtime *rt, void (*on_signal)(Signals *, int)) {
  static const int signums[2] = {SIGINT, SIGTERM};
  *s = (Signals){.rt = rt, .on_signal = on_signal, .close = {.close = close_signals}};
  for (int i = 0; i < 2; i++) {
    int rc = uv_signal_init(&rt->loop, &s->handles[i]);
    if (rc) {
      if (i) uv_close((uv_handle_t *)&s->handles[0], NULL);
      return rc;
    }
    s->handles[i].data = s;
    uv_unref((uv_handle_t *)&s->handles[i]);
  }
  ml_runtime_on_close(rt, &s->close);
  s->interrupt = (Interrupt){NULL, interrupt_wanted, interrupt_act};
  interrupt_add(rt, &s->interrupt);
  caught.thread = pthread_self();
  caught.unseen = caught.count = 0;
  caught.signals = s;
  for (int i = 0; i < 2; i++) {
    struct sigaction action;
    int rc = uv_signal_start(&s->handles[i], on_loop_signal, signums[i]);
    if (rc) return rc;
    sigaction(signums[i], NULL, &action);
    caught.loop_handler = action.sa_handler;
    action.sa_handler = on_os_signal;
    sigaction(signums[i], &action, NULL);
  }
  return 0;
}

static void on_pipe(int signum) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR)) return;
  signal(signum, SIG_DFL);
  raise(signum);
}

static void on_any_pipe(int signum) { (void)signum; }

void signals_ignore_pipe(bool quit_with_stdout) {
  /* Handlers, not SIG_IGN: programs that a script starts would inherit that. */
  struct sigaction action = {.sa_handler = quit_with_stdout ? on_pipe : on_any_pipe,
                             .sa_flags = SA_RESTART};
  sigaction(SIGPIPE, &action, NULL);
}
