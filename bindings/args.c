#include "bindings/args.h"

#include "bindings/options.h"
#include "core/script_place.h"
#include "core/task_limits.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#define CLIENT_LIST_MAX 8 /* most values of a list that is scanned first */

void args_bad_seconds(lua_State *L, int index, double seconds) {
  check_fail(L, index, isnan(seconds) ? "a time cannot be NaN" : "a time cannot be negative");
}

void args_no_task(lua_State *L, int index) {
  if (index == 1)
    check_self_fail(L, TASK_HANDLE);
  else
    check_type_fail(L, index, "task");
}

double args_opt_seconds(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? HUGE_VAL : args_check_seconds(L, index);
}

bool args_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* The limit `name` of the list at `index` in seconds, 0 if it has none. */
static double check_limit(lua_State *L, int index, const char *function, const char *name) {
  if (lua_getfield(L, index, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  bool good = lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) > 0;
  if (!good)
    script_place_error(L, "%s: %s has to be a positive number of seconds, not %s", function, name,
                       luaL_tolstring(L, -1, NULL));
  double seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return seconds;
}

/* Pushes the values of the list at `list` and returns their number: 0, with nothing pushed, unless
   it is a plain list with only the keys 1 to n. */
static int push_plain_list(lua_State *L, int list) {
  int n = 0;
  if (lua_getmetatable(L, list)) {
    lua_pop(L, 1);
    return 0;
  }
  lua_pushnil(L);
  while (lua_next(L, list)) { /* key, value */
    if (++n > CLIENT_LIST_MAX || !lua_isinteger(L, -2) || lua_tointeger(L, -2) != n) {
      lua_settop(L, list);
      return 0;
    }
    lua_replace(L, -2);
    lua_pushinteger(L, n);
  }
  return n;
}

/* Raises for an unknown name in the list at `list`: it may have been meant as a limit. */
static void check_names(lua_State *L, int list) {
  static const char *const names[] = {"cpu", "slice"};
  for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (lua_isinteger(L, -2) || (name && strcmp(name, "n") == 0)) continue;
    if (name && (strcmp(name, names[0]) == 0 || strcmp(name, names[1]) == 0)) continue;
    options_push_unknown(L, "name", -2, "a {function, ...} list", names, 2);
    script_place_error(L, "%s", lua_tostring(L, -1));
  }
}

/* The limits and arguments of the list at `list`, which is the top of L. Pushes what
   args_unpack_item gives, and returns the number of values. */
static int push_list(lua_State *L, int list, const char *function, double *cpu, double *slice) {
  check_names(L, list);
  *cpu = check_limit(L, list, function, "cpu");
  *slice = check_limit(L, list, function, "slice");
  lua_Integer n = lua_getfield(L, list, "n") == LUA_TNUMBER ? lua_tointeger(L, -1)
                                                            : (lua_Integer)lua_rawlen(L, list);
  lua_pop(L, 1);
  if (n < 1) n = 1;
  if (n > 250000 || !lua_checkstack(L, (int)n + 1))
    script_place_error(L, "%s: too many arguments", function);
  for (int i = 1; i <= (int)n; i++) lua_rawgeti(L, list, i);
  return (int)n;
}

/* Pushes the function of the item at `list`, the top of L, and its arguments; returns their
   number. */
static int push_item(lua_State *L, int list, const char *function, double *cpu, double *slice) {
  *cpu = *slice = 0;
  luaL_checkstack(L, CLIENT_LIST_MAX + 2, NULL);
  int n = push_plain_list(L, list); /* as most are: no need to look for fields */
  if (!n) n = push_list(L, list, function, cpu, slice);
  if (!args_is_callable(L, list + 1))
    script_place_error(L, "%s: the first item of a list has to be a function, not a %s", function,
                       luaL_typename(L, list + 1));
  return n - 1;
}

int args_unpack_item(lua_State *L, const char *function, double *cpu, double *slice) {
  int list = lua_gettop(L), nargs = push_item(L, list, function, cpu, slice);
  lua_remove(L, list);
  return nargs;
}

bool args_is_item(lua_State *L, int index) {
  return lua_istable(L, index) && !args_is_callable(L, index);
}

int args_bad_item(lua_State *L, const char *function, int number, int index) {
  bool is_nil = lua_isnoneornil(L, index);
  return script_place_error(L,
                            "%s: item %d is %s%s; expected a function, a {function, arguments...} "
                            "list or a task%s",
                            function, number, is_nil ? "" : "a ", luaL_typename(L, index),
                            is_nil ? " (was it called already? f(x) is written {f, x} here)" : "");
}

Task *args_spawn_item(lua_State *L, Task *parent) {
  if (!args_is_item(L, -1)) return task_spawn(L, parent->rt, parent, 0);
  double cpu, slice;
  int nargs = args_unpack_item(L, "ml.spawn", &cpu, &slice);
  Task *child = task_spawn(L, parent->rt, parent, nargs);
  task_limits_set(child, cpu, slice);
  return child;
}

Task *args_start_item(lua_State *L, Task *parent) {
  bool is_list = args_is_item(L, -1);
  double cpu = 0, slice = 0;
  int nargs = is_list ? push_item(L, lua_gettop(L), "ml.gather", &cpu, &slice) : 0;
  Task *child = task_start(L, parent->rt, parent, nargs, NULL);
  child->handle_on_failure = true;
  if (is_list) {
    task_limits_set(child, cpu, slice);
    lua_pop(L, 1);
  }
  return child;
}
