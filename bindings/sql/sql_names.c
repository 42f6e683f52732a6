#include "bindings/sql/sql_names.h"

#include <lauxlib.h>

static unsigned count_known(lua_State *L, unsigned n, int table, int names) {
  unsigned found = 0;
  for (unsigned i = 1; i <= n; i++) {
    lua_rawgeti(L, names, i);
    found += lua_rawget(L, table) != LUA_TNIL;
    lua_pop(L, 1);
  }
  return found;
}

static bool is_known(lua_State *L, unsigned n, int names, int key) {
  for (unsigned i = 1; i <= n; i++) {
    lua_rawgeti(L, names, i);
    bool same = lua_rawequal(L, -1, key);
    lua_pop(L, 1);
    if (same) return true;
  }
  return false;
}

bool sql_names_check(lua_State *L, unsigned n, int table, int names) {
  unsigned found = count_known(L, n, table, names), given = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    if (++given > found) {
      lua_pop(L, 2);
      break;
    }
  if (given <= found) return true;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (is_known(L, n, names, lua_gettop(L) - 1)) continue;
    lua_pop(L, 1);
    lua_pushfstring(L, "the statement has no parameter :%s", luaL_tolstring(L, -1, NULL));
    return false;
  }
  return true;
}
