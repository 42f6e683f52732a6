/* moonloop.time.dates: moments as text, for ml.time. */
#include "base/clock.h"
#include "bindings/check.h"
#include "bindings/time/open.h"
#include "core/error.h"
#include "core/runtime.h"
#include "core/script_place.h"
#include "http/http_date.h"
#include "schema/schema_format.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The years 0 to 9999, which both forms can show. */
#define FIRST (-62167219200.0)
#define AFTER_LAST 253402300800.0

#define MICRO 1000000

enum { SHOWN = 60 }; /* most bytes of a wrong text that its error shows */

/* The moment at index 1, between the years that can be written. */
static double check_moment(lua_State *L) {
  if (lua_type(L, 1) != LUA_TNUMBER)
    script_place_error(L,
                       "bad argument #1 to 'ml.time.format' (number of seconds expected, got %s)",
                       luaL_typename(L, 1));
  double seconds = lua_tonumber(L, 1);
  if (!(seconds >= FIRST && seconds < AFTER_LAST))
    script_place_error(L,
                       "bad argument #1 to 'ml.time.format' (a moment of the years 0 to 9999 "
                       "expected, in seconds since 1970; got %s)",
                       lua_tostring(L, 1));
  return seconds;
}

/* rfc3339(seconds) -> "2026-11-29T04:05:06Z", with six digits of a fraction if there is one. */
static int l_rfc3339(lua_State *L) {
  double seconds = check_moment(L), whole = floor(seconds);
  long micro = lround((seconds - whole) * MICRO);
  if (micro == MICRO && whole + 1 < AFTER_LAST) {
    micro = 0;
    whole += 1;
  } else if (micro == MICRO) {
    micro--;
  }
  time_t at = (time_t)whole;
  struct tm parts;
  gmtime_r(&at, &parts);
  char text[64];
  int n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (micro) n += snprintf(text + n, sizeof text - (size_t)n, ".%06ld", micro);
  snprintf(text + n, sizeof text - (size_t)n, "Z");
  lua_pushstring(L, text);
  return 1;
}

/* http(seconds) -> "Sun, 29 Nov 2026 04:05:06 GMT"; a fraction is left out. */
static int l_http(lua_State *L) {
  char text[HTTP_DATE_LEN + 1];
  http_date_format((int64_t)floor(check_moment(L)), text);
  lua_pushstring(L, text);
  return 1;
}

/* Returns nil and an error that quotes the text. */
static int refuse(lua_State *L, const char *text, size_t n, const char *fault) {
  char shown[SHOWN + 1];
  size_t len = n < SHOWN ? n : SHOWN;
  for (size_t i = 0; i < len; i++)
    shown[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
  shown[len] = 0;
  return ml_error_return(L, "time", NULL, "\"%s%s\" is not a date: %s", shown,
                         n > SHOWN ? "..." : "", fault);
}

/* parse(text) -> seconds since 1970, an integer unless there is a fraction | nil, err. The text is
   what RFC 3339 calls a date-time, or one of the three forms of RFC 9110 section 5.6.7. */
static int l_parse(lua_State *L) {
  check_string(L, 1);
  size_t n;
  const char *text = lua_tolstring(L, 1, &n);
  if (!n || (text[0] >= '0' && text[0] <= '9')) {
    const char *fault = schema_format_time_fault(SCHEMA_FORMAT_DATETIME, text, n);
    if (fault) return refuse(L, text, n, fault);
    double seconds = schema_format_unix(text, n);
    if (memchr(text, '.', n))
      lua_pushnumber(L, seconds);
    else
      lua_pushinteger(L, (lua_Integer)seconds);
    return 1;
  }
  int64_t seconds, now = clock_day_seconds(&runtime_of(L)->timers.clock);
  if (!http_date_parse(text, n, now, &seconds))
    return refuse(L, text, n,
                  "expected \"2026-11-29T04:05:06Z\" or \"Sun, 29 Nov 2026 04:05:06 GMT\"");
  lua_pushinteger(L, seconds);
  return 1;
}

int luaopen_moonloop_time_dates(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"parse", l_parse}, {"rfc3339", l_rfc3339}, {"http", l_http}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
