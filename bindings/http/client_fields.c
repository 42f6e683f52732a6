/* moonloop.http.core: what responses say in their header lines.

   headers(head) -> table
     The fields in the lines `head` as name to value: names in lower case, values of repeated fields
     joined with ", ", those of set-cookie as a list.

   date(text) -> seconds | nil
     An HTTP date in seconds since 1970. */
#include "bindings/http/client.h"
#include "bindings/repeated.h"
#include "core/runtime.h"
#include "http/http_date.h"
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

/* Pushes the field name in lower case. */
static void push_name(lua_State *L, const char *name, size_t len) {
  char small[64];
  if (len <= sizeof small) {
    for (size_t i = 0; i < len; i++) small[i] = (char)tolower((unsigned char)name[i]);
    lua_pushlstring(L, small, len);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++) out[i] = (char)tolower((unsigned char)name[i]);
  luaL_pushresultsize(&b, len);
}

/* Adds the value on the top, which it pops with the name below it, to the table. Those of
   Set-Cookie, which cannot be joined, are always a list. */
static void add_field(lua_State *L, int table) {
  if (strcmp(lua_tostring(L, -2), "set-cookie") == 0)
    repeated_add(L, table);
  else
    repeated_set(L, table);
}

/* headers(head) -> a table name -> value of the fields in the lines `head`: names in lower case. */
static int l_headers(lua_State *L) {
  size_t len;
  const char *lines = luaL_checklstring(L, 1, &len);
  lua_createtable(L, 0, 8);
  int table = lua_gettop(L);
  lua_pushnil(L); /* for what repeats */
  const char *end = lines + len;
  while (lines < end) {
    const char *next = memchr(lines, '\n', (size_t)(end - lines));
    next = next ? next + 1 : end;
    /* A line that begins with white space continues the value (RFC 9112 5.2: obs-fold). */
    while (next < end && (*next == ' ' || *next == '\t')) {
      const char *more = memchr(next, '\n', (size_t)(end - next));
      next = more ? more + 1 : end;
    }
    const char *colon = memchr(lines, ':', (size_t)(next - lines));
    if (colon) {
      const char *value = colon + 1, *value_end = next, *name_end = colon;
      while (value < value_end && isspace((unsigned char)*value)) value++;
      while (value_end > value && isspace((unsigned char)value_end[-1])) value_end--;
      while (name_end > lines && isspace((unsigned char)name_end[-1])) name_end--;
      push_name(L, lines, (size_t)(name_end - lines));
      lua_pushlstring(L, value, (size_t)(value_end - value));
      add_field(L, table);
    }
    lines = next;
  }
  repeated_join(L, table);
  return 1;
}

/* date(text) -> the HTTP date in seconds since 1970 | nil (RFC 9110 5.6.7) */
static int l_date(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int64_t seconds;
  if (!http_date_parse(text, n, clock_day_seconds(&runtime_of(L)->timers.clock), &seconds))
    return 0;
  lua_pushinteger(L, seconds);
  return 1;
}

void client_fields_open(lua_State *L) {
  lua_pushcfunction(L, l_headers);
  lua_setfield(L, -2, "headers");
  lua_pushcfunction(L, l_date);
  lua_setfield(L, -2, "date");
}
