#include "bindings/check.h"

#include "bindings/args.h"
#include "core/function_name.h"
#include "core/script_place.h"

#include <lauxlib.h>
#include <string.h>

const char *check_class_name(const char *class) {
  const char *dot = strrchr(class, '.');
  return dot ? dot + 1 : class;
}

/* Pushes the name of the running C function: "ml.sleep", or "put" for the method "queue:put"; or
   else the name the caller uses. */
static const char *push_own_name(lua_State *L, bool *is_method) {
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar)) return lua_pushliteral(L, "?");
  lua_getinfo(L, "nf", &ar);
  function_name_push(L, -1);
  lua_remove(L, -2);
  const char *name = lua_tostring(L, -1), *colon = name ? strchr(name, ':') : NULL;
  *is_method = colon || strcmp(ar.namewhat, "method") == 0;
  if (colon) return lua_pushstring(L, colon + 1);
  if (name) return name;
  return lua_pushstring(L, ar.name ? ar.name : "?");
}

int check_fail(lua_State *L, int index, const char *message) {
  bool is_method = false;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  const char *name = push_own_name(L, &is_method);
  if (!is_method)
    return script_place_error(L, "bad argument #%d to '%s' (%s)", index, name, message);
  if (luaL_getmetafield(L, 1, "__name") == LUA_TSTRING)
    name = lua_pushfstring(L, "%s:%s", check_class_name(lua_tostring(L, -1)), name);
  return script_place_error(L, "bad argument #%d to '%s' (%s)", index - 1, name, message);
}

/* Pushes a description of the value for messages: the name of its class, or its type. */
static const char *push_type_name(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    return lua_pushstring(L, check_class_name(lua_tostring(L, -1)));
  return lua_pushstring(L, luaL_typename(L, index));
}

int check_type_fail(lua_State *L, int index, const char *expected) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  const char *message =
      lua_pushfstring(L, "%s expected, got %s", expected, push_type_name(L, index));
  return check_fail(L, index, message);
}

lua_Integer check_integer(lua_State *L, int index) {
  int is_integer;
  lua_Integer value = lua_tointegerx(L, index, &is_integer);
  if (!is_integer) {
    if (!lua_isnumber(L, index)) check_type_fail(L, index, "integer");
    check_fail(L, index, "number has no integer representation");
  }
  return value;
}

lua_Integer check_opt_integer(lua_State *L, int index, lua_Integer otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : check_integer(L, index);
}

const char *check_string(lua_State *L, int index) {
  const char *text = lua_tostring(L, index);
  if (!text) check_type_fail(L, index, "string");
  return text;
}

void check_type(lua_State *L, int index, int type) {
  if (lua_type(L, index) != type) check_type_fail(L, index, lua_typename(L, type));
}

void check_any(lua_State *L, int index) {
  if (lua_isnone(L, index)) check_fail(L, index, "value expected");
}

void check_callable(lua_State *L, int index) {
  if (!args_is_callable(L, index)) check_type_fail(L, index, "function");
}

int check_self_raise(lua_State *L, int index, const char *class, const char *method) {
  return script_place_error(L,
                            "%s:%s was called without its %s (got %s): methods are called with a "
                            "colon, not with a dot",
                            class, method, class, push_type_name(L, index));
}

int check_self_fail(lua_State *L, const char *class) {
  bool is_method;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_gettop(L) == 0) lua_pushnil(L);
  return check_self_raise(L, 1, check_class_name(class), push_own_name(L, &is_method));
}

void *check_self(lua_State *L, const char *class) {
  void *self = luaL_testudata(L, 1, class);
  if (!self) check_self_fail(L, class);
  return self;
}
