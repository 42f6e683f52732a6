/* moonloop.sql.value: parameters that say what they are (host/sql/sql_value.h).

   bytes(s) -> value       the string as bytes, where a text could be meant
   json(v) -> value        any value as JSON; raises where JSON cannot have it
   open(value) -> "bytes" | "json", string; "plain" for others
   null                    NULL, where nil cannot stand: json's null */
#include "bindings/check.h"
#include "bindings/sql/open.h"
#include "sql/sql_value.h"
#include "json/json.h"

#include <lauxlib.h>

static int l_bytes(lua_State *L) {
  check_string(L, 1);
  lua_settop(L, 1);
  lua_tostring(L, 1); /* a number is one, too */
  sql_value_make_bytes(L);
  return 1;
}

static int l_json(lua_State *L) {
  check_any(L, 1);
  lua_settop(L, 1);
  sql_value_make_json(L);
  return 1;
}

static int l_open(lua_State *L) {
  static const char *const kinds[] = {
      [SQL_VALUE_PLAIN] = "plain", [SQL_VALUE_BYTES] = "bytes", [SQL_VALUE_JSON] = "json"};
  lua_settop(L, 1);
  SqlValueKind kind = sql_value_open(L, 1);
  lua_pushstring(L, kinds[kind]);
  lua_insert(L, kind == SQL_VALUE_PLAIN ? -1 : -2);
  return kind == SQL_VALUE_PLAIN ? 1 : 2;
}

int luaopen_moonloop_sql_value(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"bytes", l_bytes}, {"json", l_json}, {"open", l_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
  json_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
