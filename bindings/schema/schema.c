/* moonloop.schema.core: schemas as C has them, for the Lua part, which makes descriptions of them
   and knows what users write. */
#include "schema/schema.h"
#include "base/buffer.h"
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/json/json_limit.h"
#include "bindings/json/json_long.h"
#include "bindings/json/json_work.h"
#include "bindings/schema/open.h"
#include "bindings/schema/schema_compile.h"
#include "bindings/value_or_error.h"
#include "schema/schema_error.h"
#include "schema/schema_format.h"
#include "schema/schema_pattern.h"

#include <lauxlib.h>
#include <string.h>

/* A bigger scratch buffer than this is not kept for the next call. */
#define SCRATCH_KEPT 65536

static int l_scratch_gc(lua_State *L) {
  buffer_free(lua_touserdata(L, 1));
  return 0;
}

static int l_program_gc(lua_State *L) {
  schema_compile_free(lua_touserdata(L, 1));
  return 0;
}

/* The first node of the program at 1; pushes its table, at `*table`. */
static const SchemaNode *program_at_1(lua_State *L, int *table) {
  SchemaProgram *program = luaL_checkudata(L, 1, SCHEMA_PROGRAM);
  lua_getiuservalue(L, 1, SCHEMA_PROGRAM_TABLE);
  *table = lua_gettop(L);
  return program->nodes;
}

static SchemaMode mode_at(lua_State *L, int index) {
  static const char *const names[] = {"strict", "lax", "text", NULL};
  return (SchemaMode)luaL_checkoption(L, index, "strict", names);
}

/* compile(descriptions) -> program. Raises what is wrong with them. */
static int l_compile(lua_State *L) {
  schema_compile(L, SCHEMA_PROGRAM);
  return 1;
}

/* parse(program, value [, "strict" | "lax" | "text"]) -> value | nil, errors */
static int l_parse(lua_State *L) {
  int table;
  check_any(L, 2);
  SchemaMode mode = mode_at(L, 3);
  lua_settop(L, 2);
  const SchemaNode *n = program_at_1(L, &table);
  return value_or_error(L, schema_walk(L, n, table, 2, mode, false));
}

/* decode(program, text [, mode [, {max_values = integer}]]) -> value | nil, errors. Suspends now
   and then if the text is long, where that is possible. */
static int l_decode(lua_State *L) {
  int table;
  size_t size;
  check_type(L, 2, LUA_TSTRING);
  const char *text = lua_tolstring(L, 2, &size);
  SchemaMode mode = mode_at(L, 3);
  JsonLongLimit limit = {json_limit_option(L, 4, "schema:decode"), NULL};
  JsonError error;
  lua_settop(L, 2);
  const SchemaNode *n = program_at_1(L, &table);
  if (size > JSON_LONG) {
    lua_pushvalue(L, 2);
    return json_long_decode(L, &limit, n, table, mode, value_or_error);
  }
  if (json_count_within(text, size, limit.max_values, &error))
    return value_or_error(L, schema_decode(L, n, table, text, size, mode));
  schema_error_push_json(L, error.offset, error.message);
  return value_or_error(L, false);
}

/* encode(program, value) -> text | nil, errors */
static int l_encode(lua_State *L) {
  int table;
  check_any(L, 2);
  lua_settop(L, 2);
  const SchemaNode *n = program_at_1(L, &table);
  Buffer *scratch = lua_touserdata(L, lua_upvalueindex(1));
  scratch->len = 0;
  Runtime *rt = runtime_of(L);
  host_work_begin(rt, &json_work_called);
  bool ok = schema_encode(L, n, table, 2, scratch);
  host_work_end(rt);
  if (ok) lua_pushlstring(L, scratch->data, scratch->len);
  if (scratch->cap > SCRATCH_KEPT) buffer_free(scratch);
  return value_or_error(L, ok);
}

/* pattern_fault(pattern) -> what PCRE2 says is wrong with it, or nil */
static int l_pattern_fault(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  char error[200];
  SchemaPattern *pattern = schema_pattern_new(text, size, error, sizeof error);
  if (!pattern) {
    lua_pushstring(L, error);
    return 1;
  }
  schema_pattern_free(pattern);
  return 0;
}

/* format_exists(name) -> boolean */
static int l_format_exists(lua_State *L) {
  lua_pushboolean(L, schema_format_named(check_string(L, 1)) != SCHEMA_FORMAT_NONE);
  return 1;
}

int luaopen_moonloop_schema_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"compile", l_compile},
                                       {"parse", l_parse},
                                       {"decode", l_decode},
                                       {"pattern_fault", l_pattern_fault},
                                       {"encode", NULL},
                                       {"format_exists", l_format_exists},
                                       {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  class_make(L, SCHEMA_PROGRAM, none, l_program_gc, NULL);
  luaL_newlib(L, functions);
  Buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (Buffer){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_scratch_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, l_encode, 1);
  lua_setfield(L, -2, "encode");
  return 1;
}
