#include "sql/sql_error.h"
#include "moonloop.h"

#include <lauxlib.h>

#include <stdio.h>
#include <string.h>

static void set_text(lua_State *L, const char *name, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_true(lua_State *L, const char *name, bool is) {
  if (!is) return;
  lua_pushboolean(L, true);
  lua_setfield(L, -2, name);
}

void sql_error_push(lua_State *L, const SqlError *error) {
  luaL_checkstack(L, 3, "an error of a database");
  ml_error_push(L, error->kind, error->code, "%s", error->message ? error->message : "unknown");
  set_text(L, "constraint", error->constraint);
  set_text(L, "table", error->table);
  set_text(L, "column", error->column);
  set_text(L, "detail", error->detail);
  set_text(L, "hint", error->hint);
  if (error->position) {
    lua_pushinteger(L, error->position);
    lua_setfield(L, -2, "position");
  }
  if (error->sql) {
    lua_pushlstring(L, error->sql, error->sql_len);
    lua_setfield(L, -2, "sql");
  }
  set_true(L, "hidden", error->hidden);
  set_true(L, "unknown", error->unknown);
}

void sql_error_say_large(char text[SQL_ERROR_LARGE], bool is_row, size_t max_result) {
  snprintf(text, SQL_ERROR_LARGE,
           "%s is larger than max_result (%zu bytes): select less%s, or open the database with a "
           "larger one",
           is_row ? "a row" : "the result", max_result, is_row ? "" : ", take its rows by db:rows");
}

const char *sql_error_kind(const char *sqlstate) {
  /* The longest prefix counts: the exact codes come first. */
  static const struct {
    const char *prefix, *kind;
  } kinds[] = {
      {"23505", "unique"},   {"23503", "foreign_key"},  {"23502", "not_null"},
      {"23514", "check"},    {"23P01", "unique"},       {"40001", "serialization"},
      {"40P01", "deadlock"}, {"55P03", "lock_timeout"}, {"57014", "timeout"},
      {"25P03", "closed"},   {"25P04", "closed"},       {"57P01", "closed"},
      {"57P02", "closed"},   {"57P03", "network"},      {"57P05", "closed"},
      {"53300", "network"},  {"08", "network"},         {"28", "auth"},
      {"42501", "auth"},     {"42", "syntax"},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strncmp(sqlstate, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) return kinds[i].kind;
  return "sql";
}
