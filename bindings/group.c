/* ml.group: `local g <close> = ml.group()` and `ml.group(function(g) ... end)`. */
#include "group.h"

#include "args.h"
#include "modules.h"
#include "report.h"
#include "task_limits.h"

#include <lauxlib.h>

#define GROUP "moonloop.group"

/* group:spawn(f, ...), group:spawn{f, ..., cpu =, slice =} -> task: a child that the block waits
   for */
static int group_spawn_method(lua_State *L) {
  Group *group = luaL_checkudata(L, 1, GROUP);
  double cpu = 0, slice = 0;
  args_require_task(L, "group:spawn");
  int nargs = lua_gettop(L) - 2;
  if (args_is_item(L, 2)) {
    lua_settop(L, 2);
    nargs = args_unpack_item(L, "group:spawn", &cpu, &slice);
  }
  luaL_argexpected(L, args_is_callable(L, 2), 2, "function");
  Task *t = group_spawn(L, group, nargs);
  if (cpu > 0 || slice > 0) limits_set(t, cpu, slice);
  task_set_spawn_site(L, t, 1);
  return 1;
}

/* group:cancel([reason]): cancels the children and the body; it ends the block without an error.
   The body's own wait raises: where that is to be stopped at the block, use ml.group(function). */
static int group_cancel_method(lua_State *L) {
  Group *group = luaL_checkudata(L, 1, GROUP);
  lua_settop(L, 2);
  if (!group->scope.task || group->scope.cause) return 0;
  CancelCause *cause = cause_new_from(L);
  if (!cause) return luaL_error(L, "not enough memory");
  group_cancel(group, cause);
  cause_drop(cause);
  return 0;
}

static int close_after(lua_State *L, Group *group) {
  group_free(L, group);
  return 0; /* the body's error, where there is one, goes on by itself */
}

static int group_close(lua_State *L) {
  Group *group = luaL_checkudata(L, 1, GROUP);
  lua_settop(L, 2);
  return group_leave(L, group, lua_isnil(L, 2) ? 0 : 2, close_after);
}

static int group_gc(lua_State *L) {
  group_free(L, luaL_checkudata(L, 1, GROUP));
  return 0;
}

/* group_new() -> group, whose block ends where its to-be-closed variable does */
int group_new(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"spawn", group_spawn_method}, {"cancel", group_cancel_method}, {NULL, NULL}};
  Task *t = args_require_task(L, "ml.group");
  Group *group = lua_newuserdatauv(L, sizeof *group, 0);
  group_open(L, group, t);
  modules_set_class(L, GROUP, methods, group_gc, group_close);
  return 1;
}

/* Stack: group, message handler, then the results or the error. */
static int run_after(lua_State *L, Group *group) {
  bool stopped = group->body_stopped, failed = group->error != 0;
  group_free(L, group);
  if (stopped) return 0; /* by group:cancel() */
  return failed ? lua_error(L) : lua_gettop(L) - 2;
}

static int run_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  return group_leave(L, lua_touserdata(L, 1), failed ? lua_gettop(L) : 0, run_after);
}

int group_run(lua_State *L) {
  luaL_argexpected(L, args_is_callable(L, 1), 1, "function");
  lua_settop(L, 1);
  group_new(L);
  lua_pushvalue(L, 2);
  lua_insert(L, 1);
  lua_pushcfunction(L, report_error_handler);
  lua_insert(L, 2); /* group, handler, f, group */
  return run_over(L, lua_pcallk(L, 1, LUA_MULTRET, 2, 0, run_over), 0);
}
