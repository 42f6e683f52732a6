/* ml.timeout, ml.shield, ml.deadline: cancel scopes for scripts. */
#include "bindings/core/cancel_scope.h"

#include "bindings/args.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/traceback.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A block in a generator may never be left. Then the end of the generator closes the scope, either
   by coroutine.close or by the collector. Gives the userdata on the top the metatable `name`, whose
   __close and __gc are `close`. */
static void set_closing(lua_State *L, const char *name, lua_CFunction close) {
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, close);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__close");
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
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

static int l_timeout_abandon(lua_State *L) {
  timeout_close(lua_touserdata(L, 1));
  return 0;
}

static const char spare_key; /* its address is the registry key of a Timeout that is closed */

/* Pushes a Timeout that is closed. One is kept for the next call, since the collector is slow with
   objects that have a finalizer. */
static Timeout *push_timeout(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &spare_key) == LUA_TUSERDATA) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_key);
    return lua_touserdata(L, -1);
  }
  lua_pop(L, 1);
  Timeout *timeout = lua_newuserdatauv(L, sizeof *timeout, 0);
  *timeout = (Timeout){.cause = NULL};
  set_closing(L, "moonloop.timeout", l_timeout_abandon);
  return timeout;
}

/* Stack: the Timeout, the message handler, then the results or the error. */
static int timeout_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  Timeout *timeout = lua_touserdata(L, 1);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  bool expired = false;
  Scope *scope = &timeout->scope;
  bool is_shield = scope->shield;
  if (failed && scope->task) traceback_uncover(L, scope->task, scope->opened_in_flight);
  /* The error tells whether this limit ended f: since it was raised, an outer scope may have been
     cancelled too, which the next wait will report. */
  if (failed && timeout->scope.cause) {
    cause_push_error(L, timeout->cause);
    expired = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  timeout_close(timeout);
  if (expired) {
    int n = ml_error_return(L, "timeout", NULL, "not finished after %g s", timeout->seconds);
    if (!is_shield) return n;
    lua_pushboolean(L, true);
    return n + 1;
  }
  if (failed) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_key);
  return lua_gettop(L) - 2;
}

/* Runs the function at 2 for at most the seconds at 1. */
static int run_limited(lua_State *L, bool shield) {
  double seconds = args_opt_seconds(L, 1);
  check_callable(L, 2);
  Task *t = args_require_task(L, "ml.timeout");
  int nargs = lua_gettop(L) - 2;
  Timeout *timeout = push_timeout(L);
  lua_replace(L, 1);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, 2);
  CancelCause *cause = cause_new(t->rt, "its time was over");
  if (!cause) return script_place_error(L, "ml.timeout: not enough memory");
  *timeout = (Timeout){.cause = cause, .seconds = seconds};
  lua_toclose(L, 1);
  scope_open(&timeout->scope, t);
  if (shield) {
    timeout->scope.shield = true;
    t->cancel_pending = false;
  }
  uint64_t due = timer_due(runtime_now(t->rt), seconds);
  if (seconds == 0) {
    timeout_expire(timeout);
  } else if (due != TIMER_NEVER &&
             timer_set(&t->rt->timers, &timeout->scope.timer, due, on_timeout) != 0) {
    return script_place_error(L, "ml.timeout: not enough memory");
  }
  return timeout_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 0, timeout_over), 0);
}

/* timeout(seconds | nil, f, ...) -> f's results | nil, err of kind "timeout". Runs f in the calling
   task. When the time is over, the wait that it is in raises. nil means no limit. */
int cancel_scope_timeout(lua_State *L) { return run_limited(L, false); }

/* --- ml.shield --- */

/* shield_for(seconds, f, ...) -> f's results | nil, err, true: the same, and a shield for as long.
   One scope is cheaper than two. */
int cancel_scope_shield_for(lua_State *L) { return run_limited(L, true); }

static int l_shield_abandon(lua_State *L) {
  scope_close(lua_touserdata(L, 1));
  return 0;
}

/* Stack: the Scope, the message handler, then the results or the error. */
static int shield_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  scope_close(lua_touserdata(L, 1)); /* the next wait raises what it held back */
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 2 : lua_error(L);
}

/* shield(f, ...) -> f's results. Runs f in the calling task; a cancel from outside waits until f is
   done, and is raised by the next wait after it. The same holds for the tasks that f starts. */
int cancel_scope_shield(lua_State *L) {
  check_callable(L, 1);
  Task *t = args_require_task(L, "ml.shield");
  int nargs = lua_gettop(L) - 1;
  Scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  *scope = (Scope){0};
  set_closing(L, "moonloop.shield", l_shield_abandon);
  lua_insert(L, 1);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, 2);
  lua_toclose(L, 1);
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
  bool in_coroutine; /* which may be abandoned in the middle of the block */
  int line;
  char source[LUA_IDSIZE]; /* where it was set */
} Deadline;

static const char reported_key; /* its address is the registry key of "one has been reported" */

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
    script_place_error(L, "ml.deadline: not enough memory");
}

static void deadline_close(Deadline *d) {
  scope_close(&d->scope);
  cause_drop(d->cause);
  d->cause = NULL;
}

/* Nobody has closed it, so its limit stayed in force after the block: reports the first such
   case. */
static void report_left(lua_State *L, const Deadline *d) {
  if (d->in_coroutine) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &reported_key);
  bool reported = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (reported) return;
  lua_pushboolean(L, true);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &reported_key);
  report_sayf(runtime_of(L), LOG_WARN,
              "the deadline set at %s:%d has no block: keep it in a to-be-closed variable, "
              "local d <close> = ml.deadline(seconds)",
              d->source, d->line);
}

static void deadline_abandoned(Scope *scope, lua_State *L) {
  report_left(L, container_of(scope, Deadline, scope));
}

static int l_deadline_gc(lua_State *L) {
  Deadline *d = luaL_checkudata(L, 1, DEADLINE);
  if (d->scope.task) report_left(L, d);
  deadline_close(d);
  return 0;
}

/* Outside the block, the error of an expired deadline is an ordinary one. */
static int l_deadline_close(lua_State *L) {
  Deadline *d = check_self(L, DEADLINE);
  const Scope *scope = &d->scope;
  lua_settop(L, 2);
  bool uncovered = scope->task && scope->task == task_current(L) &&
                   traceback_uncover(L, scope->task, scope->opened_in_flight);
  deadline_close(d);
  return uncovered ? lua_error(L) : 0;
}

/* d:extend(seconds): moves the end of the block to `seconds` from now. Raises if it is already
   over. */
static int l_deadline_extend(lua_State *L) {
  Deadline *d = check_self(L, DEADLINE);
  double seconds = args_check_seconds(L, 2);
  if (!d->scope.task) return script_place_error(L, "deadline:extend: its block has been left");
  if (d->expired) return script_place_error(L, "deadline:extend: the deadline has passed");
  deadline_arm(L, d, seconds);
  return 0;
}

/* d.expired, and the methods (upvalue 1) */
static int l_deadline_index(lua_State *L) {
  Deadline *d = check_self(L, DEADLINE);
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

static void note_place(lua_State *L, Deadline *d) {
  lua_Debug ar;
  d->in_coroutine = L != d->scope.task->co || !script_place_find(L, 1, &ar);
  if (d->in_coroutine) return;
  memcpy(d->source, ar.short_src, sizeof d->source);
  d->line = ar.currentline;
}

/* deadline(seconds | nil) -> d, for `local d <close> = ml.deadline(5)`: when the time has passed,
   every wait inside the block raises a timeout error. nil means no limit. */
int cancel_scope_deadline(lua_State *L) {
  static const luaL_Reg methods[] = {{"extend", l_deadline_extend}, {NULL, NULL}};
  double seconds = args_opt_seconds(L, 1);
  Task *t = args_require_task(L, "ml.deadline");
  Deadline *d = lua_newuserdatauv(L, sizeof *d, 0);
  *d = (Deadline){.cause = cause_new(t->rt, NULL)};
  if (!d->cause) return script_place_error(L, "ml.deadline: not enough memory");
  if (luaL_newmetatable(L, DEADLINE)) {
    luaL_newlib(L, methods);
    lua_pushcclosure(L, l_deadline_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_deadline_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, l_deadline_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, false);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &reported_key);
  }
  lua_setmetatable(L, -2);
  scope_open(&d->scope, t);
  d->scope.abandoned = deadline_abandoned;
  note_place(L, d);
  deadline_arm(L, d, seconds);
  return 1;
}
