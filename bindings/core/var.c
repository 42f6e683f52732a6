/* ml.var: values that belong to a task and are inherited by the tasks it starts (task_vars.h). */
#include "bindings/core/var.h"

#include "bindings/args.h"
#include "bindings/class.h"
#include "core/task_vars.h"
#include "core/traceback.h"

#include <lauxlib.h>

#define VAR "moonloop.var"

/* The user values are the name and the default. */
typedef struct Var {
  char unused;
} Var;

/* var:get() -> the task's value, or the default */
static int l_var_get(lua_State *L) {
  check_self(L, VAR);
  task_vars_push(L, args_require_task(L, "var:get"));
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
  task_vars_push(L, t);
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
  task_vars_set(L, t);
}

/* var:set(value): for this task and the tasks that it starts from now on; nil is the default */
static int l_var_set(lua_State *L) {
  check_self(L, VAR);
  lua_settop(L, 2);
  assign(L, args_require_task(L, "var:set"), 2);
  return 0;
}

/* Stack: variable, values before, message handler, then the results or the error. */
static int with_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  lua_pushvalue(L, 2);
  task_vars_set(L, task_current(L));
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 3 : lua_error(L);
}

/* var:with(value, f, ...) -> f's results: runs f with the value, then restores the old one */
static int l_var_with(lua_State *L) {
  check_self(L, VAR);
  check_callable(L, 3);
  Task *t = args_require_task(L, "var:with");
  int nargs = lua_gettop(L) - 3;
  task_vars_push(L, t);
  lua_insert(L, 3);
  assign(L, t, 2);
  lua_remove(L, 2); /* variable, values before, f, arguments */
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, 3);
  return with_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 3, 0, with_over), 0);
}

static int l_var_tostring(lua_State *L) {
  check_self(L, VAR);
  lua_getiuservalue(L, 1, 1);
  lua_pushfstring(L, "var %s", lua_tostring(L, -1));
  return 1;
}

/* vars() -> the values of the running task by variable, which must not be changed, or nil */
int var_all(lua_State *L) {
  task_vars_push(L, args_require_task(L, "vars"));
  return 1;
}

/* set_vars(values | nil): makes a table of that kind the values of the running task. */
int var_set_all(lua_State *L) {
  lua_settop(L, 1);
  task_vars_set(L, args_require_task(L, "set_vars"));
  return 0;
}

/* var(name [, default]) -> a variable that has its own value in each task */
int var_new(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get", l_var_get}, {"set", l_var_set}, {"with", l_var_with}, {NULL, NULL}};
  check_string(L, 1);
  lua_settop(L, 2);
  lua_newuserdatauv(L, sizeof(Var), 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 2);
  class_set(L, VAR, methods, NULL, NULL);
  luaL_getmetatable(L, VAR);
  lua_pushcfunction(L, l_var_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  return 1;
}
