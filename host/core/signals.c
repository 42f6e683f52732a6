#include "core/signals.h"

#include "core/scope.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How soon a second SIGINT has to follow to end a prompt. */
#define SECOND_WITHIN_NS 2000000000ull

/* Belongs to the process, since a signal handler gets no argument of ours. */
static struct {
  Signals *signals;
  pthread_t thread;
  void (*loop_handler)(int signum); /* libuv's, which wakes the loop */
  volatile sig_atomic_t unseen;     /* a signal that the loop has not been told of */
  volatile sig_atomic_t count; /* number of SIGINT and SIGTERM so far; for a prompt, SIGTERM only */
  volatile uint64_t interrupted_at; /* time of the last SIGINT at a prompt; 0: it was answered */
  volatile uint64_t listened_at; /* time of the last one that a script listened for; 0: none yet */
  timer_t patience;              /* sends another SIGTERM */
  bool has_patience;
} caught;

/* How soon a second SIGINT or SIGTERM ends a process whose script listens for them. */
#define LISTENED_WITHIN_NS 1000000000ull

/* What scripts listen for, by signal; the process's, since any thread may. */
static struct {
  atomic_int listeners;
  atomic_bool untaken;   /* it came while somebody listened, and has not been given to a task */
  atomic_bool passed_on; /* it is sent again, to have its usual effect */
} listened[NSIG];
static atomic_bool are_servers;

Signals *signals_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SIGNALS_KEY);
  Signals *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

const char *signals_name(int signum) {
  return signum == SIGINT    ? "SIGINT"
         : signum == SIGHUP  ? "SIGHUP"
         : signum == SIGUSR2 ? "SIGUSR2"
                             : "SIGTERM";
}

/* --- delivering a signal --- */

void signals_raise(Signals *s, int signum) {
  bool stays = signum == SIGUSR2 || (signum == SIGHUP && s->stays_at_hangup);
  bool ends = !stays && (signum != SIGHUP || s->ends_at_hangup);
  for (SignalHook *hook = ends ? s->hooks : NULL, *next; hook; hook = next) {
    next = hook->next;
    hook->act(hook);
  }
  bool is_taken = ml_wait_wake(s->waiter) || (s->keep && !s->foreground) || signum == SIGUSR2;
  if (is_taken && !(stays && s->taken)) /* the end counts for more */
    s->taken = signum;
  else if (!is_taken)
    s->on_signal(s, signum);
}

void signals_add_hook(Signals *s, SignalHook *hook) {
  hook->next = s->hooks;
  hook->link = &s->hooks;
  if (hook->next) hook->next->link = &hook->next;
  s->hooks = hook;
}

void signals_remove_hook(SignalHook *hook) {
  if (!hook->link) return;
  *hook->link = hook->next;
  if (hook->next) hook->next->link = hook->link;
  hook->link = NULL;
}

void signals_set_foreground(Signals *s, TaskHandle *task) {
  s->foreground = task;
  caught.interrupted_at = 0;
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

/* In the task that was running when the signal came, before its next instruction: interrupts it if
   the signal cancelled it. */
static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)ar;
  Signals *s = container_of(interrupt, Signals, interrupt);
  if (!caught.unseen) return; /* the loop was faster */
  deliver(s, caught.unseen);
  Task *t = s->rt->scheduler.current;
  if (!t || !t->cancel_pending) return;
  cause_push_error(L, scope_pending(t));
  lua_error(L);
}

/* --- in the signal handler --- */

static void end_now(Signals *s, int signum) {
  if (s->restore) s->restore(s->restore_data);
  _exit(128 + signum);
}

static uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000ull + (uint64_t)at.tv_nsec;
}

/* A SIGINT at a prompt: ends the process if another one came just before, without effect. */
static void interrupt_prompt(Signals *s) {
  static const char hint[] = "moonloop: Ctrl-C twice within two seconds ends the process\n";
  uint64_t now = now_ns(), before = caught.interrupted_at;
  bool in_vain = before && (caught.unseen || s->foreground);
  if (in_vain && now - before <= SECOND_WITHIN_NS) end_now(s, SIGINT);
  if (in_vain && write(STDERR_FILENO, hint, sizeof hint - 1) < 0) return; /* nobody to tell */
  caught.interrupted_at = now;
}

/* Ends the process if this signal is one too many. */
static void count_signal(Signals *s, int signum) {
  if (signum == SIGHUP || s->second == SECOND_IS_AS_FIRST) return;
  if (s->second == SECOND_ENDS_PROMPT && signum == SIGINT)
    interrupt_prompt(s);
  else if (caught.count++ > 0)
    end_now(s, signum);
}

/* For a signal that a script listens for. */
static void note_listened(Signals *s, int signum) {
  uint64_t now = now_ns(), before = caught.listened_at;
  if (signum != SIGHUP) {
    if (before && now - before <= LISTENED_WITHIN_NS) end_now(s, signum);
    caught.listened_at = now;
  }
  atomic_store(&listened[signum].untaken, true);
}

/* Of two signals, the one that asks for more is kept. */
static bool outranks(int signum, int other) {
  return !other || other == SIGHUP || signum == SIGTERM;
}

static void on_os_signal(int signum, siginfo_t *info, void *context) {
  (void)context;
  if (!pthread_equal(pthread_self(), caught.thread)) { /* hooks are set on the loop's thread only */
    pthread_kill(caught.thread, signum);
    return;
  }
  Signals *s = caught.signals;
  if (!s) return;
  if (info->si_code == SI_TIMER) {
    if (caught.unseen == SIGTERM) end_now(s, SIGTERM);
    return;
  }
  if (signals_is_listened(signum)) {
    note_listened(s, signum);
    caught.loop_handler(signum);
    return;
  }
  if (!atomic_exchange(&listened[signum].passed_on, false) && signum != SIGHUP &&
      caught.listened_at && now_ns() - caught.listened_at <= LISTENED_WITHIN_NS)
    end_now(s, signum);
  count_signal(s, signum);
  if (outranks(signum, caught.unseen)) caught.unseen = signum;
  if (signum == SIGTERM && caught.has_patience)
    timer_settime(caught.patience, 0, &(struct itimerspec){.it_value.tv_sec = s->patience}, NULL);
  caught.loop_handler(signum);
  /* As lua.c does: a task that computes would keep the loop from seeing the signal. */
  if (s->rt->scheduler.current && s->rt->scheduler.running)
    interrupt_arm(s->rt->scheduler.running, 1);
}

/* --- opening and closing --- */

static void on_loop_signal(uv_signal_t *handle, int signum) {
  (void)signum;
  if (caught.unseen) deliver(handle->data, caught.unseen);
}

static void close_signals(CloseHook *hook, Runtime *rt) {
  Signals *s = container_of(hook, Signals, close);
  caught.signals = NULL;
  if (caught.has_patience) timer_delete(caught.patience);
  caught.has_patience = false;
  interrupt_remove(rt, &s->interrupt);
  for (int i = 0; i < SIGNALS_CAUGHT; i++)
    if (s->handles[i].data) uv_close((uv_handle_t *)&s->handles[i], NULL);
}

static bool is_ignored(int signum) {
  struct sigaction action;
  return sigaction(signum, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Replaces libuv's handler by ours, which calls it. */
static int catch_signal(Signals *s, uv_signal_t *handle, int signum) {
  struct sigaction action;
  int rc = uv_signal_init(&s->rt->loop, handle);
  if (rc) return rc;
  handle->data = s;
  uv_unref((uv_handle_t *)handle);
  rc = uv_signal_start(handle, on_loop_signal, signum);
  if (rc) return rc;
  sigaction(signum, NULL, &action);
  caught.loop_handler = action.sa_handler;
  action.sa_sigaction = on_os_signal;
  action.sa_flags |= SA_SIGINFO;
  sigaction(signum, &action, NULL);
  return 0;
}

/* A timer that sends SIGTERM to this thread. */
static bool make_patience(void) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGTERM};
  event._sigev_un._tid = gettid();
  return timer_create(CLOCK_MONOTONIC, &event, &caught.patience) == 0;
}

int signals_open(Signals *s, Runtime *rt) {
  static const int signums[SIGNALS_CAUGHT] = {SIGINT, SIGTERM, SIGHUP};
  int n = s->ends_at_hangup && !is_ignored(SIGHUP) ? SIGNALS_CAUGHT : SIGNALS_CAUGHT - 1;
  s->rt = rt;
  s->close.close = close_signals;
  ml_runtime_on_close(rt, &s->close);
  s->interrupt = (Interrupt){NULL, interrupt_wanted, interrupt_act};
  interrupt_add(rt, &s->interrupt);
  memset(&caught, 0, sizeof caught);
  caught.thread = pthread_self();
  caught.has_patience = s->patience && make_patience();
  caught.signals = s;
  atomic_store(&are_servers, s->are_servers);
  for (int i = 0; i < n; i++) {
    int rc = catch_signal(s, &s->handles[i], signums[i]);
    if (rc) return rc;
  }
  return 0;
}

/* --- what scripts listen for --- */

void signals_listen(int signum) { atomic_fetch_add(&listened[signum].listeners, 1); }

void signals_listen_no_more(int signum) {
  if (atomic_fetch_sub(&listened[signum].listeners, 1) > 1) return;
  if (!atomic_exchange(&listened[signum].untaken, false) || !caught.signals) return;
  atomic_store(&listened[signum].passed_on, true);
  pthread_kill(caught.thread, signum);
}

bool signals_is_listened(int signum) { return atomic_load(&listened[signum].listeners) > 0; }

void signals_was_taken(int signum) { atomic_store(&listened[signum].untaken, false); }

bool signals_are_servers(void) { return atomic_load(&are_servers); }

/* --- SIGPIPE --- */

static void on_pipe(int signum) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR)) return;
  signal(signum, SIG_DFL);
  raise(signum);
}

static void on_any_pipe(int signum) { (void)signum; }

void signals_ignore_pipe(bool quit_with_stdout) {
  /* Handlers, not SIG_IGN, which programs started by a script would inherit. */
  struct sigaction action = {.sa_handler = quit_with_stdout ? on_pipe : on_any_pipe,
                             .sa_flags = SA_RESTART};
  sigaction(SIGPIPE, &action, NULL);
}
