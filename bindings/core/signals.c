/* moonloop.signals: for the host's own commands. */
#include "core/signals.h"
#include "base/controlling_terminal.h"
#include "bindings/core/open.h"
#include "core/report.h"

static Signals *check_signals(lua_State *L) {
  Signals *s = signals_of(L);
  if (!s) luaL_error(L, "signals are caught in the main runtime of the process only");
  return s;
}

static int push_taken(lua_State *L, Signals *s) {
  lua_pushstring(L, signals_name(s->taken));
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

/* wait() -> "SIGINT", "SIGTERM", "SIGHUP" or a supervisor's "SIGUSR2": suspends until the next
   signal, which then has no other effect. One task at a time. */
static int l_wait(lua_State *L) {
  Signals *s = check_signals(L);
  Task *t = ml_wait_enter(L, "signals.wait");
  if (s->waiter.task) return luaL_error(L, "another task waits for signals");
  if (s->taken) return push_taken(L, s);
  s->waiter = ml_wait_waker(t);
  return ml_wait_suspend(L, t, &signal_wait, s);
}

/* keep(): from now on, a signal that no task waits for is kept for the next wait. */
static int l_keep(lua_State *L) {
  check_signals(L)->keep = true;
  return 0;
}

/* stay_at_hangup(): SIGHUP does not end the process from now on; a task waits for it. */
static int l_stay_at_hangup(lua_State *L) {
  check_signals(L)->stays_at_hangup = true;
  return 0;
}

/* has_terminal() -> has this process a terminal, which has not been closed? */
static int l_has_terminal(lua_State *L) {
  lua_pushboolean(L, controlling_terminal_exists());
  return 1;
}

/* say(level, message [, traceback | nil, name, value, ...]): logs what the host says. Fields that
   are texts are left out of text formats: the message has them. nil is left out. */
static int l_say(lua_State *L) {
  static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
  LogFields fields;
  fields.n = 0;
  LogEntry entry = {.level = (LogLevel)luaL_checkoption(L, 1, NULL, levels), .source = LOG_HOST};
  entry.message = luaL_checklstring(L, 2, &entry.message_len);
  if (!report_wants(entry.level)) return 0;
  log_fields_add_text(&fields, LOG_FIELD_BELOW, "traceback", luaL_optstring(L, 3, NULL));
  int last = lua_gettop(L);
  for (int i = 4; i < last; i += 2) {
    LogFieldKind kind = lua_type(L, i + 1) == LUA_TNUMBER ? LOG_FIELD_JSON : LOG_FIELD_QUIET;
    log_fields_add_text(&fields, kind, luaL_checkstring(L, i), luaL_optstring(L, i + 1, NULL));
  }
  report_entry(runtime_of(L), &entry, &fields);
  return 0;
}

int luaopen_moonloop_signals(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", l_wait},
                                       {"keep", l_keep},
                                       {"stay_at_hangup", l_stay_at_hangup},
                                       {"has_terminal", l_has_terminal},
                                       {"say", l_say},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
