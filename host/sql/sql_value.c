#include "sql/sql_value.h"

#include "json/json.h"
#include <lauxlib.h>

#define BYTES "moonloop.sql.bytes"
#define JSON "moonloop.sql.json"

/* The string on the top of L becomes the one item of a table with this metatable. */
static void wrap(lua_State *L, const char *class) {
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  if (luaL_newmetatable(L, class)) {
    lua_pushboolean(L, false); /* getmetatable gives this */
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
}

void sql_value_make_bytes(lua_State *L) { wrap(L, BYTES); }

/* The encoder raises nothing, so the buffer is always freed: the text is copied by a call that may
   raise, under lua_pcall. */
static int l_copy(lua_State *L) {
  const Buffer *b = lua_touserdata(L, 1);
  lua_pushlstring(L, b->data, b->len);
  return 1;
}

void sql_value_make_json(lua_State *L) {
  Buffer out = {0};
  JsonError error;
  if (!json_encode(L, -1, &out, 0, &error)) {
    buffer_free(&out);
    luaL_error(L, "ml.sql.json: %s", error.message);
    return;
  }
  lua_pushcfunction(L, l_copy);
  lua_pushlightuserdata(L, &out);
  int status = lua_pcall(L, 1, 1, 0);
  buffer_free(&out);
  if (status != LUA_OK) lua_error(L);
  lua_remove(L, -2);
  wrap(L, JSON);
}

static bool has_class(lua_State *L, const char *class) {
  luaL_getmetatable(L, class);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

SqlValueKind sql_value_open(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return SQL_VALUE_PLAIN;
  SqlValueKind kind = has_class(L, BYTES)  ? SQL_VALUE_BYTES
                      : has_class(L, JSON) ? SQL_VALUE_JSON
                                           : SQL_VALUE_PLAIN;
  lua_pop(L, 1);
  if (kind != SQL_VALUE_PLAIN) lua_rawgeti(L, index, 1); /* `index` is absolute */
  return kind;
}
