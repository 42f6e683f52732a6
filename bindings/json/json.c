/* ml.json: encode, decode, null, array, object. */
#include "json/json.h"
#include "base/buffer.h"
#include "bindings/check.h"
#include "bindings/json/json_limit.h"
#include "bindings/json/json_long.h"
#include "bindings/json/json_work.h"
#include "bindings/json/open.h"
#include "bindings/options.h"
#include "bindings/value_or_error.h"
#include "core/script_place.h"
#include <lauxlib.h>

/* A scratch buffer larger than this is not kept for the next call. */
#define SCRATCH_KEPT 65536

static int l_scratch_gc(lua_State *L) {
  buffer_free(lua_touserdata(L, 1));
  return 0;
}

/* ml.json.encode(value [, {pretty = boolean}]) -> string
   Tables are read raw: metamethods are not called. Raises, with the path, for a value that cannot
   be encoded. */
static int l_encode(lua_State *L) {
  check_any(L, 1);
  static const char *const option_names[] = {"pretty"};
  unsigned flags = 0;
  if (!lua_isnoneornil(L, 2)) {
    options_check(L, 2, "ml.json.encode", option_names, 1);
    lua_getfield(L, 2, "pretty");
    if (lua_toboolean(L, -1)) flags |= JSON_PRETTY;
    lua_pop(L, 1);
  }
  /* The text is in a buffer that belongs to the state, so that an error in Lua cannot leak it. */
  Buffer *scratch = lua_touserdata(L, lua_upvalueindex(1));
  JsonError error;
  scratch->len = 0;
  Runtime *rt = runtime_of(L);
  host_work_begin(rt, &json_work_called);
  bool ok = json_encode(L, 1, scratch, flags, &error);
  host_work_end(rt);
  if (!ok) {
    buffer_free(scratch);
    return script_place_error(L, "%s", error.message);
  }
  lua_pushlstring(L, scratch->data, scratch->len);
  if (scratch->cap > SCRATCH_KEPT) buffer_free(scratch);
  return 1;
}

/* ml.json.decode(text [, {max_values = integer}]) -> value, or nil and an error of kind "json" with
   `line` and `column` (from 1; a column is a character). null is ml.json.null; arrays are marked as
   ml.json.array does. A long text suspends the task now and then, where that is possible. */
static int l_decode(lua_State *L) {
  size_t size;
  check_type(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &size);
  JsonLongLimit limit = {json_limit_option(L, 2, "ml.json.decode"), NULL};
  JsonError error;
  if (size > JSON_LONG) {
    lua_settop(L, 1);
    return json_long_decode(L, &limit, NULL, 0, SCHEMA_STRICT, value_or_error);
  }
  if (!json_count_within(text, size, limit.max_values, &error)) return json_error_return(L, &error);
  return json_decode_return(L, text, size);
}

static int set_mark(lua_State *L, JsonMark mark) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1)) {
    lua_pop(L, 1);
    check_true(L, json_get_mark(L, 1) != JSON_UNMARKED, 1, "the table has its own metatable");
  }
  json_set_mark(L, 1, mark);
  return 1;
}

/* ml.json.array([t]) -> t, or a new table, marked to encode as an array even if it is empty. The
   mark is a metatable: a table with another one is refused. */
static int l_array(lua_State *L) { return set_mark(L, JSON_ARRAY); }

/* ml.json.object([t]) -> t, or a new table, marked to encode as an object. */
static int l_object(lua_State *L) { return set_mark(L, JSON_OBJECT); }

/* The tostring of all light userdata: "null" for ml.json.null. */
static int l_light_tostring(lua_State *L) {
  if (json_is_null(L, 1))
    lua_pushliteral(L, "null");
  else
    lua_pushfstring(L, "userdata: %p", lua_touserdata(L, 1));
  return 1;
}

int luaopen_moonloop_json(lua_State *L) {
  static const luaL_Reg functions[] = {{"decode", l_decode}, {"array", l_array},
                                       {"object", l_object}, {"encode", NULL},
                                       {"null", NULL},       {NULL, NULL}};
  luaL_newlib(L, functions);

  Buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (Buffer){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_scratch_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, l_encode, 1);
  lua_setfield(L, -2, "encode");

  /* All light userdata of a state share one metatable: one that is already set is kept. */
  json_push_null(L);
  if (lua_getmetatable(L, -1)) {
    lua_pop(L, 1);
  } else {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_light_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
  }
  lua_setfield(L, -2, "null");
  return 1;
}
