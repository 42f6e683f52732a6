/* moonloop.signals: for the host's own commands. */
#include "signals.h"
#include "modules.h"

#include <signal.h>

static Signals *check_signals(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SIGNALS_KEY);
  Signals *s = lua_touserdata(L, -1);
  if (!s) luaL_error(L, "signals are caught in the main runtime of the process only");
  return s;
}

static int push_taken(lua_State *L, Signals *s) {
  int signum = s->taken;
  lua_pushstring(L, signum == SIGINT ? "SIGINT" : signum == SIGHUP ? "SIGHUP" : "SIGTERM");
  s->taken = 0;
  return 1;
}

static void wait_cancel(Task *t, void *op) {
  (void)t;
  ((Signals *)op)->waiter.task = NULL;
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Signals *s = op;
  s->waiter.task = NULL;
  return push_taken(L, s);
}

static const WaitType signal_wait = {
    .name = "signal", .cancel = wait_cancel, .finish = wait_finish};

/* wait() -> "SIGINT", "SIGTERM", or "SIGHUP", which a supervisor sends: suspends until the next
   signal, which then does nothing else. One task at a time. */
static int l_wait(lua_State *L) {
  Signals *s = check_signals(L);
  Task *t = ml_wait_enter(L, "signals.wait");
  if (s->waiter.task) return luaL_error(L, "another task waits for signals");
  if (s->taken) return push_taken(L, s);
  s->waiter = ml_wait_waker(t);
  return ml_wait_suspend(L, t, &signal_wait, s);
}

/* keep(): from now on a signal that nobody waits for is kept for the next wait. */
static int l_keep(lua_State *L) {
  check_signals(L)->keep = true;
  return 0;
}

int luaopen_moonloop_signals(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", l_wait}, {"keep", l_keep}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
