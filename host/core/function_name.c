#include "core/function_name.h"

#include "core/script_place.h"
#include "core/weak_keys.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#define PUBLIC "moonloop" /* the module of all public names, and the prefix of inner modules */
#define SHOWN "ml"

/* Pushes the string key of the value at `index` in the table on the top. */
static bool push_key(lua_State *L, int index) {
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, index)) continue;
    lua_pop(L, 1);
    return true;
  }
  return false;
}

/* The public module, and the modules that it has loaded so far. */
static bool push_public(lua_State *L, int index, int loaded) {
  if (lua_getfield(L, loaded, PUBLIC) != LUA_TTABLE) return false;
  int module = lua_gettop(L);
  if (push_key(L, index)) {
    lua_pushfstring(L, SHOWN ".%s", lua_tostring(L, -1));
    return true;
  }
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1) || !push_key(L, index)) continue;
    lua_pushfstring(L, SHOWN ".%s.%s", lua_tostring(L, -3), lua_tostring(L, -1));
    return true;
  }
  return false;
}

/* The table of methods of the metatable on the top: its __index, or the first upvalue of that. */
static bool push_methods(lua_State *L) {
  if (lua_getfield(L, -1, "__index") == LUA_TFUNCTION && !lua_getupvalue(L, -1, 1)) return false;
  return lua_istable(L, -1);
}

/* "queue" for "moonloop.queue" */
static const char *class_of(const char *metatable) {
  const char *dot = strrchr(metatable, '.');
  return dot ? dot + 1 : metatable;
}

/* The classes of the host. */
static bool push_method(lua_State *L, int index) {
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX);) {
    int value = lua_gettop(L);
    bool is_class = lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1) &&
                    strncmp(lua_tostring(L, -2), PUBLIC ".", sizeof PUBLIC) == 0;
    if (is_class && push_methods(L) && push_key(L, index)) {
      lua_pushfstring(L, "%s:%s", class_of(lua_tostring(L, value - 1)), lua_tostring(L, -1));
      return true;
    }
    lua_settop(L, value - 1);
  }
  return false;
}

static bool is_inner(const char *module) {
  return strncmp(module, PUBLIC, sizeof PUBLIC - 1) == 0 &&
         (module[sizeof PUBLIC - 1] == '.' || !module[sizeof PUBLIC - 1]);
}

/* Lua's own modules, and those of scripts. */
static bool push_other(lua_State *L, int index, int loaded) {
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1)) continue;
    const char *module = lua_tostring(L, -2);
    if (is_inner(module) || !push_key(L, index)) continue;
    if (strcmp(module, LUA_GNAME) != 0) lua_pushfstring(L, "%s.%s", module, lua_tostring(L, -1));
    return true;
  }
  return false;
}

/* Can the function have a name of the host's? A script's function cannot. */
static bool may_be_public(lua_State *L, int index) {
  lua_Debug ar;
  if (lua_iscfunction(L, index)) return true;
  lua_pushvalue(L, index);
  return lua_getinfo(L, ">S", &ar) && script_place_is_host(&ar);
}

/* Pushes the name of the function at `index`, or false. */
static void push_found(lua_State *L, int index, int loaded) {
  int top = lua_gettop(L);
  bool known = false;
  if (may_be_public(L, index)) {
    known = push_public(L, index, loaded);
    if (!known) {
      lua_settop(L, top);
      known = push_method(L, index);
    }
  }
  if (!known) {
    lua_settop(L, top);
    known = push_other(L, index, loaded);
  }
  if (!known) lua_pushboolean(L, false);
}

/* The registry caches what was found, by function: a name, or false. A search takes longer the more
   modules and tasks there are, and whoever makes a server fail chooses how often its frames are
   named. A name that a function gets later is missed. */
static const char found_key;

void function_name_push(lua_State *L, int index) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  index = lua_absindex(L, index);
  int names = lua_gettop(L) + 1, loaded = names + 1;
  weak_keys_push(L, &found_key);
  lua_pushvalue(L, index);
  if (lua_rawget(L, names) == LUA_TNIL) {
    lua_settop(L, names);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    push_found(L, index, loaded);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawset(L, names);
  }
  if (!lua_toboolean(L, -1)) lua_pushnil(L);
  lua_replace(L, names);
  lua_settop(L, names);
}
