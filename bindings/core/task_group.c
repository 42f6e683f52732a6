/* ml.group: `local g <close> = ml.group()` and `ml.group(function(g) ... end)`. */
#include "bindings/core/task_group.h"

#include "bindings/args.h"
#include "bindings/class.h"
#include "core/group.h"
#include "core/script_place.h"
#include "core/task_limits.h"
#include "core/traceback.h"

#include <lauxlib.h>

#define GROUP "moonloop.group"

/* group:spawn(f, ...), group:spawn{f, ..., cpu =, slice =} -> task: a child that the block waits
   for */
static int l_group_spawn(lua_State *L) {
  Group *group = check_self(L, GROUP);
  double cpu = 0, slice = 0;
  args_require_task(L, "group:spawn");
  int nargs = lua_gettop(L) - 2;
  if (args_is_item(L, 2)) {
    lua_settop(L, 2);
    nargs = args_unpack_item(L, "group:spawn", &cpu, &slice);
  }
  check_callable(L, 2);
  Task *t = group_spawn(L, group, nargs);
  if (cpu > 0 || slice > 0) task_limits_set(t, cpu, slice);
  task_set_spawn_site(L, t, 1);
  return 1;
}

/* group:cancel([reason]): cancels the children and the body, and ends the block without an error. A
   wait of the body raises; use ml.group(function) to stop that error at the block. */
static int l_group_cancel(lua_State *L) {
  Group *group = check_self(L, GROUP);
  lua_settop(L, 2);
  if (!group->scope.task || group->scope.cause) return 0;
  CancelCause *cause = cause_new_from(L);
  if (!cause) return script_place_error(L, "not enough memory");
  group_cancel(group, cause);
  cause_drop(cause);
  return 0;
}

static int close_after(lua_State *L, Group *group) {
  bool uncovered = group->uncovered;
  group_free(L, group);
  if (uncovered) return lua_error(L);
  return 0; /* the body's error, if any, continues by itself */
}

static int l_group_close(lua_State *L) {
  Group *group = check_self(L, GROUP);
  lua_settop(L, 2);
  return group_leave(L, group, lua_isnil(L, 2) ? 0 : 2, close_after);
}

static int l_group_gc(lua_State *L) {
  group_free(L, check_self(L, GROUP));
  return 0;
}

/* A group whose block ends with its to-be-closed variable. */
static int new_group(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"spawn", l_group_spawn}, {"cancel", l_group_cancel}, {NULL, NULL}};
  Task *t = args_require_task(L, "ml.group");
  Group *group = lua_newuserdatauv(L, sizeof *group, 0);
  group_open(L, group, t);
  class_set(L, GROUP, methods, l_group_gc, l_group_close);
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

static int run_group(lua_State *L) {
  check_callable(L, 1);
  lua_settop(L, 1);
  new_group(L);
  lua_pushvalue(L, 2);
  lua_insert(L, 1);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, 2); /* group, handler, f, group */
  return run_over(L, lua_pcallk(L, 1, LUA_MULTRET, 2, 0, run_over), 0);
}

int task_group(lua_State *L) { return lua_isnone(L, 1) ? new_group(L) : run_group(L); }
