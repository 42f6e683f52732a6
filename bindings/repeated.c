#include "bindings/repeated.h"

#include <lauxlib.h>
#include <string.h>

void repeated_add(lua_State *L, int table) {
  lua_pushvalue(L, -2);
  if (lua_rawget(L, table) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -2);
    lua_rawset(L, table);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
}

/* Makes the lists if there are none, and begins that of the name with the value on the top (popped)
   unless it has begun. */
static void begin_list(lua_State *L, int lists, int name) {
  if (lua_isnil(L, lists)) {
    lua_newtable(L);
    lua_replace(L, lists);
  }
  lua_pushvalue(L, name);
  if (lua_rawget(L, lists) != LUA_TNIL) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, name);
  lua_insert(L, -2);
  repeated_add(L, lists);
}

void repeated_set(lua_State *L, int table) {
  int name = lua_gettop(L) - 1, lists = table + 1;
  lua_pushvalue(L, name);
  if (lua_rawget(L, table) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawset(L, table);
    return;
  }
  begin_list(L, lists, name);
  repeated_add(L, lists);
}

/* Pushes the values of the list at `list` as one text. */
static void push_joined(lua_State *L, int list, const char *separator) {
  luaL_Buffer b;
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) luaL_addstring(&b, separator);
    lua_rawgeti(L, list, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

void repeated_join(lua_State *L, int table) {
  int lists = table + 1;
  if (!lua_isnil(L, lists)) {
    lua_pushnil(L);
    while (lua_next(L, lists)) {
      const char *name = lua_tostring(L, lists + 1);
      lua_pushvalue(L, lists + 1);
      push_joined(L, lists + 2, strcmp(name, "cookie") == 0 ? "; " : ", ");
      lua_rawset(L, table);
      lua_settop(L, lists + 1);
    }
  }
  lua_settop(L, table);
}
