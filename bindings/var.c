/* ml.var: values that belong to a task and are inherited by the tasks it starts.

   rt->vars_ref is a registry table: Task.slot -> that task's values by variable. A table of values
   is never changed once it is there, so a child shares its parent's until one of them sets. */
#include "args.h"
#include "modules.h"
#include "report.h"
#include "task.h"

#include <lauxlib.h>

#define VAR "moonloop.var"

/* The user values are the name and the default. */
typedef struct Var {
  char unused;
} Var;

/* Pushes the task's values, or nil. */
static void push_values(lua_State *L, Task *t) {
  if (!t->has_vars) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->vars_ref);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
}

/* The table on the top of L (popped) becomes the task's values. */
static void set_values(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->vars_ref);
  lua_insert(L, -2);
  t->has_vars = !lua_isnil(L, -1);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
}

/* var:get() -> the task's value, or the default */
static int var_get(lua_State *L) {
  luaL_checkudata(L, 1, VAR);
  push_values(L, args_require_task(L, "var:get"));
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_getiuservalue(L, 1, 2);
  return 1;
}

/* A copy of the task's values in which the variable at 1 is the value at `value`. */
static void assign(lua_State *L, Task *t, int value) {
  lua_newtable(L);
  int copy = lua_gettop(L);
  push_values(L, t);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (lua_next(L, copy + 1)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, copy);
    }
  }
  lua_settop(L, copy);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, value);
  lua_rawset(L, copy);
  set_values(L, t);
}

/* var:set(value): for this task and the tasks that it starts from now on; nil is the default */
static int var_set(lua_State *L) {
  luaL_checkudata(L, 1, VAR);
  lua_settop(L, 2);
  assign(L, args_require_task(L, "var:set"), 2);
  return 0;
}

/* Stack: variable, values before, message handler, then the results or the error. */
static int with_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  lua_pushvalue(L, 2);
  set_values(L, task_current(L));
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 3 : lua_error(L);
}

/* var:with(value, f, ...) -> f's results: runs f with the value, and puts back what was before */
static int var_with(lua_State *L) {
  luaL_checkudata(L, 1, VAR);
  luaL_argexpected(L, args_is_callable(L, 3), 3, "function");
  Task *t = args_require_task(L, "var:with");
  int nargs = lua_gettop(L) - 3;
  push_values(L, t);
  lua_insert(L, 3);
  assign(L, t, 2);
  lua_remove(L, 2); /* variable, values before, f, arguments */
  lua_pushcfunction(L, report_error_handler);
  lua_insert(L, 3);
  return with_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 3, 0, with_over), 0);
}

static int var_tostring(lua_State *L) {
  luaL_checkudata(L, 1, VAR);
  lua_getiuservalue(L, 1, 1);
  lua_pushfstring(L, "var %s", lua_tostring(L, -1));
  return 1;
}

/* var(name [, default]) -> a variable of which each task has its own value */
int var_new(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get", var_get}, {"set", var_set}, {"with", var_with}, {NULL, NULL}};
  luaL_checkstring(L, 1);
  lua_settop(L, 2);
  lua_newuserdatauv(L, sizeof(Var), 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 2);
  modules_set_class(L, VAR, methods, NULL, NULL);
  luaL_getmetatable(L, VAR);
  lua_pushcfunction(L, var_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  return 1;
}
