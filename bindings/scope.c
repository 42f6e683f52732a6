/* ml.timeout, ml.shield, ml.deadline: cancel scopes for scripts. */
#include "args.h"
#include "modules.h"
#include "report.h"

#include <lauxlib.h>
#include <stddef.h>

/* A block in a generator may never be left: then the generator's end closes the scope, whether by
   coroutine.close or by the collector. The userdata at `index` becomes a to-be-closed variable with
   the metatable `name`, whose __close and __gc are `close`. */
static void close_with_stack(lua_State *L, int index, const char *name, lua_CFunction close) {
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, close);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__close");
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, index);
  lua_toclose(L, index);
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
  Scope *scope = container_of(timer, Scope, timer);
  timeout_expire((Timeout *)scope);
}

static void timeout_close(Timeout *timeout) {
  scope_close(&timeout->scope);
  cause_drop(timeout->cause);
  timeout->cause = NULL;
}

static int timeout_abandon(lua_State *L) {
  timeout_close(lua_touserdata(L, 1));
  return 0;
}

/* Stack: the Timeout, the message handler, then the results or the error. */
static int timeout_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  Timeout *timeout = lua_touserdata(L, 1);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  bool expired = false;
  /* Whether this limit ended f is told by the error: since it was raised an outer scope may have
     been cancelled too, which the next wait will say. */
  if (failed && timeout->scope.cause) {
    cause_push_error(L, timeout->cause);
    expired = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  timeout_close(timeout);
  if (expired)
    return ml_error_return(L, "timeout", NULL, "not finished after %g s", timeout->seconds);
  return failed ? lua_error(L) : lua_gettop(L) - 2;
}

/* timeout(seconds | nil, f, ...) -> f's results | nil, err of kind "timeout". Runs f in the calling
   task; when the time is over, the suspension it is in raises. nil is no limit. */
int scope_timeout(lua_State *L) {
  double seconds = args_opt_seconds(L, 1);
  luaL_argexpected(L, args_is_callable(L, 2), 2, "function");
  Task *t = args_require_task(L, "ml.timeout");
  int nargs = lua_gettop(L) - 2;
  Timeout *timeout = lua_newuserdatauv(L, sizeof *timeout, 0);
  lua_replace(L, 1);
  lua_pushcfunction(L, report_error_handler);
  lua_insert(L, 2);
  CancelCause *cause = cause_new(t->rt, "its time was over");
  if (!cause) return luaL_error(L, "ml.timeout: not enough memory");
  *timeout = (Timeout){.cause = cause, .seconds = seconds};
  close_with_stack(L, 1, "moonloop.timeout", timeout_abandon);
  scope_open(&timeout->scope, t);
  uint64_t due = timer_due(runtime_now(t->rt), seconds);
  if (seconds == 0) {
    timeout_expire(timeout);
  } else if (due != TIMER_NEVER &&
             timer_set(&t->rt->timers, &timeout->scope.timer, due, on_timeout) != 0) {
    return luaL_error(L, "ml.timeout: not enough memory");
  }
  return timeout_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 0, timeout_over), 0);
}

/* --- ml.shield --- */

static int shield_abandon(lua_State *L) {
  scope_close(lua_touserdata(L, 1));
  return 0;
}

/* Stack: the Scope, the message handler, then the results or the error. */
static int shield_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  scope_close(lua_touserdata(L, 1)); /* what it held back is raised by the next wait */
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 2 : lua_error(L);
}

/* shield(f, ...) -> f's results. Runs f in the calling task; a cancel from outside waits until f is
   done, and is raised by the next wait after it. The same holds for the tasks that f starts. */
int scope_shield(lua_State *L) {
  luaL_argexpected(L, args_is_callable(L, 1), 1, "function");
  Task *t = args_require_task(L, "ml.shield");
  int nargs = lua_gettop(L) - 1;
  Scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  *scope = (Scope){0};
  lua_insert(L, 1);
  lua_pushcfunction(L, report_error_handler);
  lua_insert(L, 2);
  close_with_stack(L, 1, "moonloop.shield", shield_abandon);
  scope_open(scope, t);
  scope->shield = true;
  t->cancel_pending = false;
  return shield_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 0, shield_over), 0);
}

/* --- ml.deadline --- */

#define DEADLINE "moonloop.deadline"

typedef struct Deadline {
  Scope scope; /* scope.task is NULL when the block has been left */
  CancelCause *cause;
  bool expired;
} Deadline;

static void deadline_expire(Deadline *d) {
  d->expired = true;
  scope_cancel(&d->scope, cause_hold(d->cause));
}

static void on_deadline(Timer *timer) {
  deadline_expire(container_of(timer, Deadline, scope.timer));
}

static void deadline_arm(lua_State *L, Deadline *d, double seconds) {
  Runtime *rt = runtime_of(L);
  d->cause->deadline = seconds;
  timer_clear(&rt->timers, &d->scope.timer);
  uint64_t due = timer_due(runtime_now(rt), seconds);
  if (seconds == 0)
    deadline_expire(d);
  else if (due != TIMER_NEVER && timer_set(&rt->timers, &d->scope.timer, due, on_deadline) != 0)
    luaL_error(L, "ml.deadline: not enough memory");
}

/* d's __close and __gc. An expired deadline's error is an ordinary one outside of the block. */
static int deadline_close(lua_State *L) {
  Deadline *d = luaL_checkudata(L, 1, DEADLINE);
  scope_close(&d->scope);
  cause_drop(d->cause);
  d->cause = NULL;
  return 0;
}

/* d:extend(seconds): the block's end is `seconds` from now. An error when it is over already. */
static int deadline_extend(lua_State *L) {
  Deadline *d = luaL_checkudata(L, 1, DEADLINE);
  double seconds = args_check_seconds(L, 2);
  if (!d->scope.task) return luaL_error(L, "deadline:extend: its block has been left");
  if (d->expired) return luaL_error(L, "deadline:extend: the deadline has passed");
  deadline_arm(L, d, seconds);
  return 0;
}

/* d.expired, and the methods (upvalue 1) */
static int deadline_index(lua_State *L) {
  Deadline *d = luaL_checkudata(L, 1, DEADLINE);
  lua_settop(L, 2);
  lua_pushliteral(L, "expired");
  if (lua_rawequal(L, 2, 3)) {
    lua_pushboolean(L, d->expired);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* deadline(seconds | nil) -> d, for `local d <close> = ml.deadline(5)`: when the time has passed,
   every wait inside the block raises a timeout error. nil is no limit. */
int scope_deadline(lua_State *L) {
  static const luaL_Reg methods[] = {{"extend", deadline_extend}, {NULL, NULL}};
  double seconds = args_opt_seconds(L, 1);
  Task *t = args_require_task(L, "ml.deadline");
  Deadline *d = lua_newuserdatauv(L, sizeof *d, 0);
  *d = (Deadline){.cause = cause_new(t->rt, NULL)};
  if (!d->cause) return luaL_error(L, "ml.deadline: not enough memory");
  if (luaL_newmetatable(L, DEADLINE)) {
    luaL_newlib(L, methods);
    lua_pushcclosure(L, deadline_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, deadline_close);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__close");
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  scope_open(&d->scope, t);
  deadline_arm(L, d, seconds);
  return 1;
}
