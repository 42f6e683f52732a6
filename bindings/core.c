/* moonloop.core: the primitives that the Lua parts and `ml` are made of. */
#include "error.h"
#include "join.h"
#include "modules.h"
#include "report.h"
#include "states.h"
#include "task.h"

#include <lauxlib.h>
#include <math.h>
#include <stddef.h>

/* A time in seconds at `index`: not negative, not NaN; math.huge is never. */
static double check_seconds(lua_State *L, int index) {
  double seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0, index,
                isnan(seconds) ? "a time cannot be NaN" : "a time cannot be negative");
  return seconds;
}

/* --- ml.sleep --- */

static void sleep_cancel(Task *t, void *op) {
  (void)op;
  timer_clear(&t->rt->timers, &t->timer);
}

static int sleep_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType sleep_wait = {"sleep", sleep_cancel, sleep_finish, false};

static void sleep_over(Timer *timer) {
  Task *t = (Task *)(void *)((char *)timer - offsetof(Task, timer));
  wait_wake(wait_waker(t));
}

/* sleep(seconds): suspends the task at least that long; 0 lets every ready task run once. */
static int core_sleep(lua_State *L) {
  double seconds = check_seconds(L, 1);
  Task *t = wait_enter(L, "ml.sleep");
  t->timer = (Timer){0};
  if (seconds == 0)
    wait_wake(wait_waker(t)); /* it is ready again: behind the others */
  else if (timer_set(&t->rt->timers, &t->timer, timer_due(runtime_now(t->rt), seconds),
                     sleep_over) != 0)
    return luaL_error(L, "ml.sleep: not enough memory");
  return wait_suspend(L, t, &sleep_wait, NULL);
}

/* now() -> seconds of the monotonic clock */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (double)runtime_now(runtime_of(L)) / 1e9);
  return 1;
}

/* --- ml.spawn, ml.current --- */

static bool is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

static Task *require_task(lua_State *L, const char *function) {
  Task *t = task_current(L);
  if (!t || runtime_of(L)->running != L) states_raise_cannot_wait(L, function);
  return t;
}

static int start_child(lua_State *L, int level, int nargs) {
  Task *parent = require_task(L, "ml.spawn");
  Task *child = task_spawn(L, parent->rt, parent, nargs);
  task_set_spawn_site(L, child, level);
  return 1;
}

/* spawn(f, ...) -> task: a child of the running task; it first runs on the next pass. */
static int core_spawn(lua_State *L) {
  luaL_argexpected(L, is_callable(L, 1), 1, "function");
  return start_child(L, 1, lua_gettop(L) - 1);
}

/* spawn_for(level, f, ...): spawn for a Lua part, whose caller `level` levels up is the site. */
static int core_spawn_for(lua_State *L) {
  int level = (int)luaL_checkinteger(L, 1);
  return start_child(L, level, lua_gettop(L) - 2);
}

/* current() -> task | nil */
static int core_current(lua_State *L) {
  Task *t = task_current(L);
  if (!t)
    lua_pushnil(L);
  else
    task_push_handle(L, t);
  return 1;
}

/* checkpoint(function): raises, in the name of `function`, what a wait here would raise: a pending
   cancel, or that nothing can wait here. */
static int core_checkpoint(lua_State *L) {
  wait_enter(L, luaL_checkstring(L, 1));
  return 0;
}

/* is_own_cancel(err) -> boolean: is it a cancel in force for the running task? */
static int core_is_own_cancel(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, scope_is_own_cancel(L, 1));
  return 1;
}

/* is_callable(v) -> boolean */
static int core_is_callable(lua_State *L) {
  lua_pushboolean(L, is_callable(L, 1));
  return 1;
}

/* is_task(v) -> boolean */
static int core_is_task(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, TASK_HANDLE) != NULL);
  return 1;
}

/* is_error(v) -> boolean: is it one of moonloop's error objects? */
static int core_is_error(lua_State *L) {
  lua_pushboolean(L, error_is(L, 1));
  return 1;
}

/* error(fields) -> error object: gives the table {kind=, message=, ...} the metatable. */
static int core_error(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  error_set_metatable(L);
  return 1;
}

/* --- ml.timeout --- */

typedef struct Timeout {
  Scope scope;
  CancelCause *cause; /* made before it is needed: a timer cannot fail */
  double seconds;
} Timeout;

static void timeout_expire(Timeout *timeout) {
  scope_cancel(&timeout->scope, cause_hold(timeout->cause));
}

static void on_timeout(Timer *timer) {
  Scope *scope = (Scope *)(void *)((char *)timer - offsetof(Scope, timer));
  timeout_expire((Timeout *)scope);
}

/* Stack: the Timeout, the message handler, then the results or the error. */
static int timeout_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  Timeout *timeout = lua_touserdata(L, 1);
  Task *t = timeout->scope.task;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  bool expired = false;
  if (failed && timeout->scope.cause && scope_pending(t) == timeout->cause) {
    cause_push_error(L, timeout->cause);
    expired = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  scope_close(&timeout->scope);
  cause_drop(timeout->cause);
  if (expired) return error_return(L, "timeout", NULL, "not finished after %g s", timeout->seconds);
  return failed ? lua_error(L) : lua_gettop(L) - 2;
}

/* timeout(seconds | nil, f, ...) -> f's results | nil, err of kind "timeout". Runs f in the calling
   task; when the time is over, the suspension it is in raises. nil is no limit. */
static int core_timeout(lua_State *L) {
  double seconds = lua_isnil(L, 1) ? HUGE_VAL : check_seconds(L, 1);
  luaL_argexpected(L, is_callable(L, 2), 2, "function");
  Task *t = require_task(L, "ml.timeout");
  int nargs = lua_gettop(L) - 2;
  Timeout *timeout = lua_newuserdatauv(L, sizeof *timeout, 0);
  lua_replace(L, 1);
  lua_pushcfunction(L, report_error_handler);
  lua_insert(L, 2);
  CancelCause *cause = cause_new(t->rt, "its time was over");
  if (!cause) return luaL_error(L, "ml.timeout: not enough memory");
  *timeout = (Timeout){.cause = cause, .seconds = seconds};
  scope_open(&timeout->scope, t);
  uint64_t due = timer_due(runtime_now(t->rt), seconds);
  if (seconds == 0) {
    timeout_expire(timeout);
  } else if (due != TIMER_NEVER &&
             timer_set(&t->rt->timers, &timeout->scope.timer, due, on_timeout) != 0) {
    scope_close(&timeout->scope);
    cause_drop(cause);
    return luaL_error(L, "ml.timeout: not enough memory");
  }
  return timeout_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 0, timeout_over), 0);
}

int luaopen_moonloop_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", core_sleep},
                                       {"now", core_now},
                                       {"spawn", core_spawn},
                                       {"spawn_for", core_spawn_for},
                                       {"current", core_current},
                                       {"timeout", core_timeout},
                                       {"join", join_tasks},
                                       {"first_results", join_first_results},
                                       {"outcome", join_outcome},
                                       {"gate", gate_new},
                                       {"checkpoint", core_checkpoint},
                                       {"is_own_cancel", core_is_own_cancel},
                                       {"is_callable", core_is_callable},
                                       {"is_task", core_is_task},
                                       {"is_error", core_is_error},
                                       {"error", core_error},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushcfunction(L, core_timeout);
  states_note_transparent(L);
  return 1;
}
