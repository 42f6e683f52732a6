/* moonloop.signal_listener: ml.signal's C part. */
#include "core/signal_listener.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/core/open.h"
#include "bindings/options.h"
#include "core/script_place.h"
#include "core/signals.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LISTENER "moonloop.signal_listener"

/* What can be listened for: not what tells of a fault of the program (SIGSEGV), what no program
   gets (SIGKILL, SIGSTOP), and what the host needs (SIGPIPE, SIGURG). */
static const char *const names[] = {"ALRM", "CHLD", "CONT", "HUP",  "INT",  "QUIT", "TERM",
                                    "TSTP", "TTIN", "TTOU", "USR1", "USR2", "WINCH"};
static const int signums[] = {SIGALRM, SIGCHLD, SIGCONT, SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                              SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH};
enum { SIGNALS = sizeof signums / sizeof *signums };

/* Those that a server acts on. */
static const int of_servers[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGTERM, SIGCHLD};

typedef struct Listener {
  SignalListener *listener; /* NULL: closed */
  const char *function;     /* as scripts know it */
  char wanted[128];         /* "HUP or USR2" */
} Listener;

static const char *name_of(int signum) {
  for (size_t i = 0; i < SIGNALS; i++)
    if (signums[i] == signum) return names[i];
  return "?";
}

/* --- wait --- */

static int push_taken(lua_State *L, Listener *l) {
  lua_pushstring(L, name_of(signal_listener_take(l->listener)));
  return 1;
}

static void let_go(Listener *l) { signal_listener_set_waiter(l->listener, (Waker){0}); }

static void wait_cancel(Task *t, void *op) {
  (void)t;
  let_go(op);
}

/* The signal stays where it is, for the next wait. */
static bool wait_revoke(Task *t, void *op) {
  (void)t;
  let_go(op);
  return true;
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  let_go(op);
  return push_taken(L, op);
}

static void wait_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  snprintf(text, size, "signal %s", ((const Listener *)op)->wanted);
}

static const WaitType signal_wait = {.name = "signal",
                                     .cancel = wait_cancel,
                                     .finish = wait_finish,
                                     .describe = wait_describe,
                                     .revoke = wait_revoke};

/* wait() -> name: suspends until one of the signals comes, or takes one that came since the last
   wait. */
static int l_wait(lua_State *L) {
  Listener *l = check_self(L, LISTENER);
  Task *t = ml_wait_enter(L, l->function);
  if (!l->listener) return script_place_error(L, "%s: its loop has been left", l->function);
  if (signal_listener_is_waited_for(l->listener))
    return script_place_error(L, "%s: another task waits in the same loop", l->function);
  lua_settop(L, 1);
  int signum = signal_listener_take(l->listener);
  if (signum) {
    lua_pushstring(L, name_of(signum));
    return wait_spared(L, 1, 1);
  }
  signal_listener_set_waiter(l->listener, ml_wait_waker(t));
  return ml_wait_suspend(L, t, &signal_wait, l);
}

/* __close and __gc */
static int l_close(lua_State *L) {
  Listener *l = luaL_checkudata(L, 1, LISTENER);
  SignalListener *listener = l->listener;
  l->listener = NULL;
  if (listener) signal_listener_close(listener);
  return 0;
}

static const luaL_Reg methods[] = {{"wait", l_wait}, {NULL, NULL}};

/* --- listen --- */

static int check_signal(lua_State *L, int index, const char *function) {
  if (lua_type(L, index) != LUA_TSTRING)
    script_place_error(L, "bad argument #%d to '%s' (the name of a signal expected, got %s)", index,
                       function, luaL_typename(L, index));
  const char *name = lua_tostring(L, index);
  if (!strcmp(name, "KILL") || !strcmp(name, "STOP"))
    return script_place_error(L, "%s: no program can listen for %s: the system acts on it",
                              function, name);
  for (size_t i = 0; i < SIGNALS; i++)
    if (!strcmp(name, names[i])) return signums[i];
  options_push_unknown(L, "signal", index, function, names, SIGNALS);
  return script_place_error(L, "%s", lua_tostring(L, -1));
}

static void refuse_servers(lua_State *L, int signum, const char *function) {
  for (size_t i = 0; i < sizeof of_servers / sizeof *of_servers; i++)
    if (of_servers[i] == signum)
      script_place_error(L,
                         "%s: `moonloop serve` acts on %s itself; for what is to be done before it "
                         "ends there is app:on_stop",
                         function, name_of(signum));
}

/* "HUP, USR1 or USR2" */
static void describe(Listener *l, const int *wanted, size_t n) {
  size_t at = 0;
  for (size_t i = 0; i < n && at < sizeof l->wanted; i++)
    at += (size_t)snprintf(l->wanted + at, sizeof l->wanted - at, "%s%s",
                           i == 0      ? ""
                           : i + 1 < n ? ", "
                                       : " or ",
                           name_of(wanted[i]));
}

/* Makes a listener for the signals whose names are the arguments. `function` is a literal. */
static int begin(lua_State *L, const char *function) {
  int count = lua_gettop(L), wanted[SIGNALS];
  size_t n = 0;
  if (!count)
    script_place_error(L, "bad argument #1 to '%s' (the name of a signal expected, got no value)",
                       function);
  for (int i = 1; i <= count; i++) {
    int signum = check_signal(L, i, function);
    size_t known = 0;
    while (known < n && wanted[known] != signum) known++;
    if (known == n) wanted[n++] = signum;
    if (signals_are_servers()) refuse_servers(L, signum, function);
  }
  Listener *l = lua_newuserdatauv(L, sizeof *l, 0);
  *l = (Listener){.function = function};
  describe(l, wanted, n);
  class_set(L, LISTENER, methods, l_close, l_close);
  int error;
  l->listener = signal_listener_open(runtime_of(L), wanted, n, &error);
  if (!l->listener)
    return luaL_error(L, "%s: cannot listen for %s: %s", function, l->wanted, uv_strerror(error));
  return 1;
}

/* for_wait(name, ...), for_each(name, ...) -> listener: from now on these signals are kept for it.
   Raise for a name that is not known. */
static int l_for_wait(lua_State *L) { return begin(L, "ml.signal.wait"); }
static int l_for_each(lua_State *L) { return begin(L, "ml.signal.each"); }

int luaopen_moonloop_signal_listener(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"for_wait", l_for_wait}, {"for_each", l_for_each}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
