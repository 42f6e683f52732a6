/* What came of a job, as Lua's values. */
#include "bindings/sql/sqlite.h"
#include "sql/sql_error.h"
#include "sql/sql_rows.h"
#include "sql/sqlite/sqlite_cells.h"
#include "sql/sqlite/sqlite_fault.h"
#include "sql/sqlite/sqlite_time.h"

#include "json/json.h"
#include <sqlite3.h>
#include <stdio.h>

/* --- errors --- */

/* Where in the statement, as it was written, the fault is: in characters. 0: unknown. */
static unsigned position_of(const SqliteFault *fault, const SqliteText *text, const char *sql) {
  if (fault->offset < 0 || !text || text->statement->len != text->text.text.len) return 0;
  size_t offset = (size_t)fault->offset, at = offset;
  for (unsigned i = 0; i < text->text.place_count; i++) {
    const SqlPlace *place = &text->text.places[i];
    if (place->offset >= offset) break;
    if (text->text.names) at += text->text.names[place->number - 1].len + 1 - place->len;
  }
  unsigned n = 1;
  for (size_t i = 0; i < at && sql[i]; i++) n += ((unsigned char)sql[i] & 0xc0) != 0x80;
  return n;
}

static const char *or_null(const char *text) { return *text ? text : NULL; }

int sqlite_result_push_error(lua_State *L, const SqliteJob *job, const SqliteText *text) {
  char message[900];
  SqliteSubject subject;
  const SqliteSettings *settings = &job->pool->settings;
  sqlite_fault_describe(&job->fault, settings->path, settings->flags & SQLITE_OPEN_CREATE, message,
                        sizeof message);
  sqlite_fault_subject(&job->fault, &subject);
  const char *sql = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = sqlite_fault_kind(&job->fault),
                                .code = sqlite_fault_code(&job->fault),
                                .message = message,
                                .table = or_null(subject.table),
                                .column = or_null(subject.column),
                                .constraint = or_null(subject.constraint),
                                .position = sql ? position_of(&job->fault, text, sql) : 0,
                                .sql = sql,
                                .sql_len = sql ? lua_rawlen(L, 2) : 0});
  return 2;
}

int sqlite_result_push_given_up(lua_State *L, const SqliteJob *job) {
  char message[900];
  snprintf(message, sizeof message,
           "not done within %g s, and not to be interrupted: whether it will be is not known (%s)",
           job->pool->timeout_seconds, job->pool->settings.path);
  const char *sql = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = "timeout",
                                .message = message,
                                .sql = sql,
                                .sql_len = sql ? lua_rawlen(L, 2) : 0,
                                .unknown = true});
  return 2;
}

/* --- columns --- */

static void make_shape(lua_State *L, SqliteShape *shape, SqliteText *text, int text_at) {
  int columns = (int)shape->columns;
  const char *name = sqlite_statement_names(shape);
  lua_createtable(L, columns, 1);
  lua_createtable(L, columns, 0);
  for (int i = 1; i <= columns; i++, name += strlen(name) + 1) {
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, i);
    lua_rawseti(L, -3, i);
  }
  sql_rows_push_class(L);
  lua_rawseti(L, -2, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, text_at, SQLITE_KEEPS_SHAPE);
  sqlite_statement_release_shape(text->shape);
  text->shape = sqlite_statement_retain_shape(shape);
}

void sqlite_result_push_shape(lua_State *L, const SqliteJob *job, int text_at) {
  SqliteText *text = lua_touserdata(L, text_at);
  if (!job->shape) { /* no columns, but a list all the same */
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 0);
    sql_rows_push_class(L);
    lua_rawseti(L, -2, 0);
  } else if (text->shape == job->shape) {
    lua_getiuservalue(L, text_at, SQLITE_KEEPS_SHAPE);
  } else {
    make_shape(L, job->shape, text, text_at);
  }
}

/* --- values --- */

/* Pushes nothing and returns false for what is no JSON, and stays text. */
static bool push_json(lua_State *L, const char *bytes, size_t len) {
  JsonError why;
  return json_decode(L, bytes, len, &why);
}

static void push_time(lua_State *L, const SqlitePoolObject *of, double seconds) {
  char text[SQLITE_TIME_SIZE];
  if (of->time_as_text && sqlite_time_format(seconds, text))
    lua_pushstring(L, text);
  else
    lua_pushnumber(L, seconds);
}

static void push_text(lua_State *L, const SqlitePoolObject *of, SqliteConversion conversion,
                      const char *bytes, size_t len) {
  double seconds;
  if (conversion == SQLITE_AS_JSON && push_json(L, bytes, len)) return;
  if (conversion == SQLITE_AS_TIME && sqlite_time_parse(bytes, len, &seconds))
    push_time(L, of, seconds);
  else
    lua_pushlstring(L, bytes, len);
}

static void push_integer(lua_State *L, const SqlitePoolObject *of, SqliteConversion conversion,
                         int64_t value) {
  if (conversion == SQLITE_AS_BOOLEAN && (value == 0 || value == 1))
    lua_pushboolean(L, (int)value);
  else if (conversion == SQLITE_AS_TIME)
    push_time(L, of, (double)value);
  else
    lua_pushinteger(L, value);
}

const char *sqlite_result_push_value(lua_State *L, const SqlitePoolObject *of,
                                     SqliteConversion conversion, const char *at) {
  size_t len;
  const char *bytes;
  switch ((SqliteCell)(unsigned char)*at++) {
  case SQLITE_CELL_INTEGER:
    push_integer(L, of, conversion, sqlite_cells_take_integer(&at));
    break;
  case SQLITE_CELL_FLOAT: {
    double value = sqlite_cells_take_float(&at);
    if (conversion == SQLITE_AS_TIME)
      push_time(L, of, value);
    else
      lua_pushnumber(L, value);
    break;
  }
  case SQLITE_CELL_TEXT:
    bytes = sqlite_cells_take_bytes(&at, &len);
    push_text(L, of, conversion, bytes, len);
    break;
  case SQLITE_CELL_BLOB:
    bytes = sqlite_cells_take_bytes(&at, &len);
    lua_pushlstring(L, bytes, len);
    break;
  case SQLITE_CELL_NULL:
    if (of->nulls)
      json_push_null(L);
    else
      lua_pushnil(L);
  }
  return at;
}

const char *sqlite_result_push_row(lua_State *L, const SqlitePoolObject *of,
                                   const SqliteShape *shape, const char *at, int shape_at) {
  unsigned columns = shape->columns;
  lua_createtable(L, 0, (int)columns);
  for (unsigned i = 0; i < columns; i++) {
    if (*at == SQLITE_CELL_NULL && !of->nulls) {
      at++;
      continue;
    }
    lua_rawgeti(L, shape_at, i + 1);
    at = sqlite_result_push_value(L, of, (SqliteConversion)shape->bytes[i], at);
    lua_rawset(L, -3);
  }
  return at;
}

void sqlite_result_push_list(lua_State *L, const SqliteJob *job, int shape_at) {
  lua_createtable(L, (int)job->rows, 0);
  lua_rawgeti(L, shape_at, 0);
  lua_setmetatable(L, -2);
}

void sqlite_result_push_rows(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job,
                             int shape_at) {
  const char *at = job->cells.data;
  sqlite_result_push_list(L, job, shape_at);
  for (size_t i = 1; i <= job->rows; i++) {
    at = sqlite_result_push_row(L, of, job->shape, at, shape_at);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
}
