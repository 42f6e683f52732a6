/* Lua's values as parameters. */
#include "bindings/check.h"
#include "bindings/sql/sql_names.h"
#include "bindings/sql/sqlite.h"
#include "sql/sql_value.h"
#include "sql/sqlite/sqlite_cells.h"
#include "sql/sqlite/sqlite_list.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>

/* Values of a list that are on the stack at once. */
enum { AT_ONCE = 8 };

/* Where a value stands, for messages. */
typedef struct Place {
  SqliteJob *job;
  const SqliteText *text;
  int argument;    /* of the call */
  lua_Integer set; /* of a batch; 0: none */
  unsigned number; /* of the parameter */
} Place;

static int refuse(lua_State *L, const Place *place, const char *what) {
  sqlite_pool_release(place->job);
  char where[64] = "";
  if (place->set) snprintf(where, sizeof where, "list %lld: ", (long long)place->set);
  return check_fail(L, place->argument, lua_pushfstring(L, "%s%s", where, what));
}

static int refuse_value(lua_State *L, const Place *place, const char *what) {
  return refuse(L, place, lua_pushfstring(L, "parameter $%d: %s", (int)place->number, what));
}

static void no_memory(lua_State *L, const Place *place) {
  sqlite_pool_release(place->job);
  luaL_error(L, "not enough memory");
}

static void check_length(lua_State *L, const Place *place, size_t len) {
  if (len > 1000000000) refuse_value(L, place, "SQLite's texts have 1,000,000,000 bytes at most");
}

static void add_json(lua_State *L, const Place *place, int index) {
  Buffer json = {0};
  JsonError why;
  bool encoded = json_encode(L, index, &json, 0, &why);
  bool ok = encoded &&
            sqlite_cells_put_bytes(&place->job->parameters, SQLITE_CELL_TEXT, json.data, json.len);
  buffer_free(&json);
  if (!encoded) refuse_value(L, place, why.message);
  if (!ok) no_memory(L, place);
}

/* What ml.sql.bytes or ml.sql.json has made, whose string is on the top of L. */
static void add_marked(lua_State *L, const Place *place, SqlValueKind kind) {
  size_t len;
  const char *bytes = lua_tolstring(L, -1, &len);
  SqliteCell type = kind == SQL_VALUE_BYTES ? SQLITE_CELL_BLOB : SQLITE_CELL_TEXT;
  check_length(L, place, len);
  if (!sqlite_cells_put_bytes(&place->job->parameters, type, bytes, len)) no_memory(L, place);
  lua_pop(L, 1);
}

static void add_table(lua_State *L, const Place *place, int index) {
  SqlValueKind kind = sql_value_open(L, index);
  if (kind != SQL_VALUE_PLAIN) {
    add_marked(L, place, kind);
    return;
  }
  switch (place->text->uses[place->number - 1]) {
  case SQLITE_LIST_ALWAYS:
    add_json(L, place, index);
    return;
  case SQLITE_LIST_MIXED:
    refuse_value(L, place, "a list stands only in = any() and <> all(), and it is used elsewhere");
    return;
  default:
    refuse_value(L, place,
                 "a table is a list for = any() or <> all(); give other tables as ml.sql.json(t)");
  }
}

/* Adds the value at `index`. */
static void add_value(lua_State *L, const Place *place, int index) {
  Buffer *out = &place->job->parameters;
  if (!buffer_reserve(out, SQLITE_CELL_SIZE)) no_memory(L, place);
  int type = lua_type(L, index);
  if (place->text->lists && type != LUA_TTABLE && type > LUA_TNIL && type != LUA_TLIGHTUSERDATA &&
      place->text->uses[place->number - 1] == SQLITE_LIST_ALWAYS)
    refuse_value(L, place, "any() and all() take a list");
  switch (type) {
  case LUA_TNONE:
  case LUA_TNIL:
    sqlite_cells_put_null(out);
    return;
  case LUA_TBOOLEAN:
    sqlite_cells_put_integer(out, lua_toboolean(L, index));
    return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      sqlite_cells_put_integer(out, lua_tointeger(L, index));
    } else {
      double value = lua_tonumber(L, index);
      if (isnan(value)) refuse_value(L, place, "SQLite has no NaN");
      sqlite_cells_put_float(out, value);
    }
    return;
  case LUA_TSTRING: {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    check_length(L, place, len);
    if (!sqlite_cells_put_bytes(out, SQLITE_CELL_TEXT, text, len)) no_memory(L, place);
    return;
  }
  case LUA_TTABLE:
    add_table(L, place, index);
    return;
  case LUA_TLIGHTUSERDATA:
    if (json_is_null(L, index)) {
      sqlite_cells_put_null(out);
      return;
    }
    break;
  default:
    break;
  }
  refuse_value(L, place, lua_pushfstring(L, "a %s cannot be stored", lua_typename(L, type)));
}

static int wrong_number(lua_State *L, const Place *place, long given) {
  int wanted = (int)place->text->text.parameters;
  return refuse(L, place,
                lua_pushfstring(L, "the statement has %d parameter%s, got %d%s", wanted,
                                wanted == 1 ? "" : "s", (int)given,
                                wanted == 0 ? "; a parameter is written $1 or :name" : ""));
}

/* The parameters by name, from the table at `index`. */
static void add_named(lua_State *L, Place *place, int text_at, int index) {
  if (lua_type(L, index) != LUA_TTABLE || sql_value_open(L, index) != SQL_VALUE_PLAIN)
    refuse(L, place, "the statement names its parameters: a table { name = value } expected");
  lua_getiuservalue(L, text_at, SQLITE_KEEPS_NAMES);
  int names = lua_gettop(L);
  if (!sql_names_check(L, place->text->text.parameters, index, names))
    refuse(L, place, lua_tostring(L, -1));
  for (unsigned i = 1; i <= place->text->text.parameters; i++) {
    place->number = i;
    lua_rawgeti(L, names, i);
    lua_rawget(L, index);
    add_value(L, place, names + 1);
    lua_settop(L, names);
  }
  lua_settop(L, names - 1);
}

void sqlite_parameters_add(lua_State *L, SqliteJob *job, const SqliteText *text, int text_at,
                           int first) {
  Place place = {.job = job, .text = text, .argument = first};
  int last = text_at - 1;
  long given = last - first + 1;
  if (text->text.names) {
    if (given != 1) {
      refuse(L, &place, "the statement names its parameters: a table { name = value } expected");
    }
    add_named(L, &place, text_at, first);
    return;
  }
  if (given != (long)text->text.parameters) wrong_number(L, &place, given);
  for (unsigned i = 1; i <= text->text.parameters; i++) {
    place.number = i;
    place.argument = first + (int)i - 1;
    add_value(L, &place, place.argument);
  }
}

void sqlite_parameters_add_set(lua_State *L, SqliteJob *job, const SqliteText *text, int text_at,
                               int index, lua_Integer number) {
  Place place = {.job = job, .text = text, .argument = 3, .set = number};
  if (lua_type(L, index) != LUA_TTABLE)
    refuse(L, &place,
           lua_pushfstring(L, "a table of parameters expected, got %s", luaL_typename(L, index)));
  if (text->text.names) {
    add_named(L, &place, text_at, index);
    return;
  }
  unsigned parameters = text->text.parameters;
  lua_Unsigned given = lua_rawlen(L, index);
  if (given > parameters) wrong_number(L, &place, (long)given);
  int top = lua_gettop(L);
  for (unsigned from = 0; from < parameters; from += AT_ONCE) {
    unsigned n = parameters - from < AT_ONCE ? parameters - from : AT_ONCE;
    for (unsigned i = 1; i <= n; i++) lua_rawgeti(L, index, from + i);
    for (unsigned i = 1; i <= n; i++) {
      place.number = from + i;
      add_value(L, &place, top + (int)i);
    }
    lua_settop(L, top);
  }
}
