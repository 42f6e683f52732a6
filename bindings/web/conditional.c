/* moonloop.web.conditional: how a request's conditions and ranges select from a representation. */
#include "bindings/web/open.h"
#include "core/runtime.h"
#include "http/http_conditional.h"
#include "http/http_date.h"
#include "http/http_range.h"

#include <lauxlib.h>
#include <string.h>

/* The header `name`, in lower case, of the table at `headers`, which keeps the string alive. */
static HttpValue header(lua_State *L, int headers, const char *name) {
  HttpValue value = {0};
  lua_pushstring(L, name);
  if (lua_rawget(L, headers) == LUA_TSTRING) value.text = lua_tolstring(L, -1, &value.len);
  lua_pop(L, 1);
  return value;
}

/* wanted(method, headers, etag, modified, size) -> status, [first, last, ...]: how to answer a
   request for a representation with these validators. 200: in full; 206: with these ranges of
   bytes; 304, 412 and 416: without a body. `headers` are the request's; `modified` is in seconds
   since 1970. */
static int l_wanted(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  HttpValidators is = {.modified = luaL_checkinteger(L, 4),
                       .now = clock_day_seconds(&runtime_of(L)->timers.clock)};
  is.etag.text = luaL_checklstring(L, 3, &is.etag.len);
  lua_Integer size = luaL_checkinteger(L, 5);
  bool is_get = !strcmp(method, "GET");
  HttpConditions given = {
      .if_match = header(L, 2, "if-match"),
      .if_none_match = header(L, 2, "if-none-match"),
      .if_modified_since = header(L, 2, "if-modified-since"),
      .if_unmodified_since = header(L, 2, "if-unmodified-since"),
      .if_range = header(L, 2, "if-range"),
  };
  int status = http_conditional_status(&given, &is, is_get || !strcmp(method, "HEAD"));
  HttpRange ranges[HTTP_MAX_RANGES];
  size_t count = 0;
  if (!status) {
    HttpValue range = is_get ? header(L, 2, "range") : (HttpValue){0};
    HttpRangeResult result = RANGE_IGNORED;
    if (range.text && http_conditional_range(&given, &is))
      result = http_range_parse(range.text, range.len, (uint64_t)size, ranges, &count);
    status = result == RANGE_PARTIAL ? 206 : result == RANGE_UNSATISFIABLE ? 416 : 200;
    if (status != 206) count = 0;
  }
  lua_pushinteger(L, status);
  luaL_checkstack(L, 2 * HTTP_MAX_RANGES, NULL);
  for (size_t i = 0; i < count; i++) {
    lua_pushinteger(L, (lua_Integer)ranges[i].first);
    lua_pushinteger(L, (lua_Integer)ranges[i].last);
  }
  return 1 + 2 * (int)count;
}

/* date(seconds) -> "Mon, 23 Nov 2026 06:12:16 GMT" */
static int l_date(lua_State *L) {
  char text[HTTP_DATE_LEN + 1];
  http_date_format(luaL_checkinteger(L, 1), text);
  lua_pushstring(L, text);
  return 1;
}

/* seconds(date) -> seconds since 1970 | nil: the reverse, for every form that RFC 9110 allows */
static int l_seconds(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int64_t seconds;
  if (!http_date_parse(text, n, clock_day_seconds(&runtime_of(L)->timers.clock), &seconds))
    return 0;
  lua_pushinteger(L, seconds);
  return 1;
}

int luaopen_moonloop_web_conditional(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"wanted", l_wanted}, {"date", l_date}, {"seconds", l_seconds}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
