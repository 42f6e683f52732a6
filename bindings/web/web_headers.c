/* The headers of a response as scripts see them: a table of names as they were spelled, with
   lookups and assignments that ignore the case of a name. A value is a string, a number, or a list
   of them for several lines. */
#include "bindings/web/web.h"

#include <lauxlib.h>
#include <strings.h>

/* Looks in the table at `headers` for the name at `key` in another case. True: pushes the name as
   spelled there and the value. */
static bool find(lua_State *L, int headers, int key) {
  if (lua_type(L, key) != LUA_TSTRING) return false;
  size_t n, other_len;
  const char *name = lua_tolstring(L, key, &n);
  lua_pushnil(L);
  while (lua_next(L, headers)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      const char *other = lua_tolstring(L, -2, &other_len);
      if (n == other_len && !strncasecmp(name, other, n)) return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

/* headers[name], for a name that is missing in this spelling */
static int l_headers_index(lua_State *L) { return find(L, 1, 2); }

/* headers[name] = value | nil, likewise */
static int l_headers_newindex(lua_State *L) {
  luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2, "the name of a header is a string");
  if (find(L, 1, 2)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawset(L, 1);
  }
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 0;
}

/* Appends the value at `index`, or its items, to the list on the top. */
static void append(lua_State *L, int index) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (!lua_istable(L, index)) {
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, n + 1);
    return;
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    lua_rawseti(L, -2, n + i);
  }
}

/* headers([given]) -> a table of the same headers, with copies of the lists. Names that differ only
   in case are one header of several lines. */
static int l_headers(lua_State *L) {
  lua_settop(L, 1);
  lua_createtable(L, 0, 4);
  luaL_setmetatable(L, WEB_HEADERS);
  if (lua_isnil(L, 1)) return 1;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 1)) {      /* 3: the name, 4: the value */
    bool twice = find(L, 2, 3); /* 5: the other spelling, 6: its value */
    if (twice || lua_istable(L, 4)) {
      lua_newtable(L);
      if (twice) append(L, 6);
      append(L, 4);
      lua_replace(L, 4);
    }
    lua_pushvalue(L, twice ? 5 : 3);
    lua_pushvalue(L, 4);
    lua_rawset(L, 2);
    lua_settop(L, 3);
  }
  return 1;
}

void web_headers_copy(lua_State *L) {
  if (!luaL_getmetafield(L, -1, "__newindex")) return;
  bool is_own = lua_tocfunction(L, -1) == l_headers_newindex;
  lua_pop(L, 1);
  if (!is_own) return;
  lua_pushcfunction(L, l_headers);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

void web_headers_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", l_headers_index}, {"__newindex", l_headers_newindex}, {NULL, NULL}};
  luaL_newmetatable(L, WEB_HEADERS);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_headers);
  lua_setfield(L, -2, "headers");
}
