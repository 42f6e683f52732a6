/* Responses by schema: what a handler returned becomes JSON text that has only what the schema of
   its status has. The rest is in scripts/moonloop/web/respond.lua. */
#include "bindings/json/json_work.h"
#include "bindings/web/web.h"

#include "core/error.h"
#include "schema/schema.h"
#include "schema/schema_program.h"
#include "json/json.h"
#include <lauxlib.h>

/* Upvalues of an encoder. PROGRAMS has a program for each status that has a schema; SOLE is that of
   a 200, with its table. OTHERWISE(value, status, headers) is for response objects,
   FAILED(status, errors) raises that a value does not fit. */
enum { UP_WEB = 1, UP_PROGRAMS, UP_NODE, UP_TABLE, UP_OTHERWISE, UP_FAILED, UPS = UP_FAILED };

enum { AT_VALUE = 1, AT_STATUS, AT_HEADERS };

/* The schema of the status, with its table at `*table`; NULL: it has none. */
static const SchemaNode *find_schema(lua_State *L, lua_Integer status, int *table) {
  if (status == 200 && !lua_isnil(L, lua_upvalueindex(UP_TABLE))) {
    *table = lua_upvalueindex(UP_TABLE);
    return lua_touserdata(L, lua_upvalueindex(UP_NODE));
  }
  if (lua_rawgeti(L, lua_upvalueindex(UP_PROGRAMS), status) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    return NULL;
  }
  const SchemaProgram *program = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, SCHEMA_PROGRAM_TABLE);
  *table = lua_gettop(L);
  return program->nodes;
}

/* Is the value at AT_VALUE one that JSON has, and no error object? */
static bool is_json(lua_State *L) {
  int type = lua_type(L, AT_VALUE);
  if (type == LUA_TTABLE) return !lua_getmetatable(L, AT_VALUE) || !error_is(L, AT_VALUE);
  return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN ||
         json_is_null(L, AT_VALUE);
}

static void set_field(lua_State *L, const Web *web, WebField field) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->fields[field]);
  lua_insert(L, -2);
  lua_rawset(L, -3);
}

/* answer(value, status, headers) -> the same, or a response object with the text of the value. The
   text stands for the value, too (see response.lua): that has fields which must not leave. */
static int l_answer(lua_State *L) {
  int count = lua_gettop(L), table;
  Web *web = lua_touserdata(L, lua_upvalueindex(UP_WEB));
  if (count == 0) return 0;
  if (lua_type(L, AT_VALUE) == LUA_TTABLE && web_is_response(L, web, AT_VALUE)) {
    lua_settop(L, AT_HEADERS);
    lua_pushvalue(L, lua_upvalueindex(UP_OTHERWISE));
    lua_insert(L, 1);
    lua_call(L, 3, LUA_MULTRET);
    return lua_gettop(L);
  }
  int is_integer = 1;
  lua_Integer status = 200;
  if (count >= AT_STATUS && !lua_isnil(L, AT_STATUS)) {
    status = lua_tointegerx(L, AT_STATUS, &is_integer);
    is_integer = is_integer && lua_type(L, AT_STATUS) == LUA_TNUMBER;
  }
  if (!is_integer || !is_json(L)) {
    lua_settop(L, count);
    return count;
  }
  lua_settop(L, AT_HEADERS);
  const SchemaNode *n = find_schema(L, status, &table);
  if (!n) {
    lua_settop(L, count < AT_HEADERS ? count : AT_HEADERS);
    return lua_gettop(L);
  }
  Buffer *body = &web->body;
  body->len = 0;
  Runtime *rt = runtime_of(L);
  host_work_begin(rt, &json_work_response);
  bool ok = schema_encode(L, n, table, AT_VALUE, body);
  host_work_end(rt);
  if (!ok) {
    int errors = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(UP_FAILED));
    lua_pushinteger(L, status);
    lua_pushvalue(L, errors);
    lua_call(L, 2, 0);
    return 0;
  }
  lua_pushlstring(L, body->data, body->len);
  int text = lua_gettop(L);
  if (body->cap > HTTP_READ_BUFFER) buffer_free(body);
  lua_createtable(L, 0, 4);
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->response_class);
  lua_setmetatable(L, -2);
  lua_pushinteger(L, status);
  set_field(L, web, WEB_FIELD_STATUS);
  lua_pushvalue(L, text);
  set_field(L, web, WEB_FIELD_TEXT);
  lua_pushvalue(L, text);
  set_field(L, web, WEB_FIELD_VALUE);
  if (!lua_isnil(L, AT_HEADERS)) {
    lua_pushvalue(L, AT_HEADERS);
    set_field(L, web, WEB_FIELD_HEADERS);
  }
  return 1;
}

/* encoder({[status] = program}, otherwise, failed) -> answer */
static int l_encoder(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  if (lua_rawgeti(L, 1, 200) == LUA_TUSERDATA) {
    const SchemaProgram *program = luaL_checkudata(L, -1, SCHEMA_PROGRAM);
    lua_pushlightuserdata(L, program->nodes);
    lua_getiuservalue(L, -2, SCHEMA_PROGRAM_TABLE);
    lua_remove(L, -3);
  } else {
    lua_pushnil(L);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, l_answer, UPS);
  return 1;
}

void web_encode_open(lua_State *L, Web *web) {
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_encoder, 1);
  lua_setfield(L, -2, "encoder");
}
