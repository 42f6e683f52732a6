#include "core/counted_list.h"

#include <lauxlib.h>
#include <string.h>

/* Key of the registry: the metatable. */
static const char class_key = 0;

static bool is_count(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING && !strcmp(lua_tostring(L, index), "n");
}

/* next(list, key), past `n` */
static int l_counted_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  while (lua_next(L, 1)) {
    if (!is_count(L, 2)) return 2;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  return 1;
}

/* __pairs(list) -> next, list, nil */
static int l_counted_pairs(lua_State *L) {
  lua_settop(L, 1);
  lua_pushcfunction(L, l_counted_next);
  lua_insert(L, 1);
  lua_pushnil(L);
  return 3;
}

void counted_list_push_class(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_counted_pairs);
  lua_setfield(L, -2, "__pairs");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
}

bool counted_list_has_class(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* Does not create the string "n": the caller may hold memory that an error would leak. */
bool counted_list_is(lua_State *L, int index, lua_Integer *n) {
  if (!counted_list_has_class(L, index)) return false;
  lua_Integer last = 0;
  index = lua_absindex(L, index);
  *n = -1;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key > last) {
      last = key;
    } else if (key < 1) {
      if (!is_count(L, -2) || !lua_isinteger(L, -1)) {
        lua_pop(L, 2);
        return false;
      }
      *n = lua_tointeger(L, -1);
    }
    lua_pop(L, 1);
  }
  return *n >= last;
}
