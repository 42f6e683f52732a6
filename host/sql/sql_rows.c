#include "sql/sql_rows.h"

#include "json/json.h"
#include <lauxlib.h>
#include <string.h>

/* __index(rows, key): upvalue 1 is the list of the names. */
static int l_index(lua_State *L) {
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(key, "n"))
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
  else if (!strcmp(key, "columns"))
    lua_pushvalue(L, lua_upvalueindex(1));
  else
    lua_pushnil(L);
  return 1;
}

void sql_rows_push_class(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_insert(L, -2);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "rows");
  lua_setfield(L, -2, "__name");
  json_mark_class(L);
}
