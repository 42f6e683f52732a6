#include "redis/redis_value.h"

#include "core/counted_list.h"
#include "core/error.h"
#include "redis/redis_reply.h"
#include "json/json.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The end of the line that begins at `p`, before "\r\n". */
static const char *line_end(const char *p) { return (const char *)rawmemchr(p, '\r'); }

bool redis_value_is_null(const char *bytes) {
  return *bytes == '_' || ((*bytes == '$' || *bytes == '*') && bytes[1] == '-');
}

/* --- errors --- */

static bool is_code(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(text[i] >= 'A' && text[i] <= 'Z') && !(text[i] >= '0' && text[i] <= '9')) return false;
  return n > 0;
}

void redis_value_push_error(lua_State *L, const char *text, size_t n, const char *who) {
  char code[32];
  const char *space = memchr(text, ' ', n);
  size_t word = space ? (size_t)(space - text) : n;
  bool has_code = word < sizeof code && is_code(text, word);
  snprintf(code, sizeof code, "%.*s", has_code ? (int)word : 0, text);
  ml_error_push(L, "redis", has_code ? code : NULL, "%s%s%.*s", who, *who ? ": " : "",
                n < 400 ? (int)n : 400, text);
}

const char *redis_value_error_text(const char *bytes, size_t *n) {
  const char *end = line_end(bytes);
  if (*bytes == '-') {
    *n = (size_t)(end - bytes) - 1;
    return bytes + 1;
  }
  *n = (size_t)redis_reply_number(bytes + 1);
  return end + 2;
}

/* --- lists --- */

static const char *push(lua_State *L, const char *p, unsigned flags);

void redis_value_count(lua_State *L, int64_t count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  counted_list_push_class(L);
  lua_setmetatable(L, -2);
}

static const char *push_list(lua_State *L, const char *p, int64_t count) {
  lua_createtable(L, count < INT32_MAX ? (int)count : INT32_MAX, 0);
  bool holes = false;
  for (int64_t i = 1; i <= count; i++) {
    p = push(L, p, 0);
    holes |= lua_isnil(L, -1);
    lua_rawseti(L, -2, i);
  }
  if (holes)
    redis_value_count(L, count);
  else
    json_set_mark(L, -1, JSON_ARRAY);
  return p;
}

/* A key that a table cannot have (nil, NaN) is dropped with its value. */
static const char *push_map(lua_State *L, const char *p, int64_t pairs) {
  lua_createtable(L, 0, pairs < INT32_MAX ? (int)pairs : INT32_MAX);
  for (int64_t i = 0; i < pairs; i++) {
    p = push(L, p, 0);
    p = push(L, p, 0);
    bool is_nan = lua_type(L, -2) == LUA_TNUMBER && isnan(lua_tonumber(L, -2));
    if (lua_isnil(L, -2) || is_nan)
      lua_pop(L, 2);
    else
      lua_rawset(L, -3);
  }
  return p;
}

/* --- values --- */

static void push_double(lua_State *L, const char *p, const char *end) {
  size_t n = (size_t)(end - p);
  const char *word = *p == '-' ? p + 1 : p;
  if (*word == 'i') {
    lua_pushnumber(L, *p == '-' ? -HUGE_VAL : HUGE_VAL);
  } else if (*word == 'n') {
    lua_pushnumber(L, NAN);
  } else {
    char text[80];
    memcpy(text, p, n);
    text[n] = 0;
    if (!lua_stringtonumber(L, text)) lua_pushnumber(L, 0);
    lua_pushnumber(L, lua_tonumber(L, -1));
    lua_remove(L, -2);
  }
}

/* A string that is not null: "$5\r\nhello\r\n", from behind its type. */
static const char *push_string(lua_State *L, const char *p) {
  size_t n = 0;
  for (; *p != '\r'; p++) n = n * 10 + (size_t)(*p - '0');
  lua_pushlstring(L, p + 2, n);
  return p + 2 + n + 2;
}

static const char *push(lua_State *L, const char *p, unsigned flags) {
  char type = *p++;
  if (type == '$' && *p != '-') return push_string(L, p);
  const char *end = line_end(p), *text;
  int64_t n;
  size_t len;
  luaL_checkstack(L, 8, "a reply nested too deeply");
  switch (type) {
  case '$':
    lua_pushnil(L);
    return end + 2;
  case '=': /* skip its "txt:" */
    n = redis_reply_number(p);
    lua_pushlstring(L, end + 2 + 4, (size_t)n - 4);
    return end + 2 + n + 2;
  case ':':
    lua_pushinteger(L, redis_reply_number(p));
    return end + 2;
  case '+':
  case '(':
    lua_pushlstring(L, p, (size_t)(end - p));
    return end + 2;
  case '-':
  case '!':
    text = redis_value_error_text(p - 1, &len);
    redis_value_push_error(L, text, len, "");
    return type == '-' ? end + 2 : text + len + 2;
  case ',':
    push_double(L, p, end);
    return end + 2;
  case '#':
    lua_pushboolean(L, *p == 't');
    return end + 2;
  case '_':
    lua_pushnil(L);
    return end + 2;
  case '|': /* attributes are dropped */
    p = push_map(L, end + 2, redis_reply_number(p));
    lua_pop(L, 1);
    return push(L, p, flags);
  case '%':
    return push_map(L, end + 2, redis_reply_number(p));
  default: /* a list, a set, a push */
    if (*p == '-') {
      lua_pushnil(L);
      return end + 2;
    }
    n = redis_reply_number(p);
    if (flags & REDIS_VALUE_MAP && type == '*' && n % 2 == 0) return push_map(L, end + 2, n / 2);
    return push_list(L, end + 2, n);
  }
}

const char *redis_value_push(lua_State *L, const char *bytes, unsigned flags) {
  return push(L, bytes, flags);
}
