/* Feeds texts to the readers of values that databases send: arrays of PostgreSQL, and points in
   time of it and of SQLite. What is read and written again is the same. */
#include "fuzz.h"
#include "sql/pg/pg_array.h"
#include "sql/pg/pg_time.h"
#include "sql/sqlite/sqlite_time.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void push(lua_State *L, const char *bytes, size_t len, void *data) {
  (*(size_t *)data)++;
  lua_pushlstring(L, bytes, len);
}

static int l_array(lua_State *L) {
  size_t n, elements = 0;
  const char *text = lua_tolstring(L, 1, &n);
  bool is_array = pg_array_push(L, text, n, push, &elements);
  check(lua_gettop(L) == (is_array ? 2 : 1) && elements <= n);
  if (is_array) check(lua_istable(L, 2));
  return 0;
}

static void check_times(const char *text, size_t n) {
  int64_t micros, again;
  char written[PG_TIME_SIZE], sqlite[SQLITE_TIME_SIZE];
  double seconds, other;
  if (pg_time_read(text, n, &micros)) {
    size_t len = pg_time_write(written, micros);
    check(len && len < sizeof written);
    if (pg_time_read(written, len, &again)) check(again == micros);
  }
  if (sqlite_time_parse(text, n, &seconds)) {
    check(isfinite(seconds));
    if (sqlite_time_format(seconds, sqlite))
      check(sqlite_time_parse(sqlite, strlen(sqlite), &other) && fabs(other - seconds) < 1e-3);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = luaL_newstate();
  char *text = exact_copy(data, size);
  lua_pushcfunction(L, l_array);
  lua_pushlstring(L, text, size);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* memory is out */
  check_times(text, size);
  free(text);
  return 0;
}
