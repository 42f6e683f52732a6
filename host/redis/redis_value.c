#include "redis/redis_value.h"

#include "core/counted_list.h"
#include "core/error.h"
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

void redis_value_count(lua_State *L, int64_t count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  counted_list_push_class(L);
  lua_setmetatable(L, -2);
}

/* Room for most lists. Lua makes it in one go, and nulls take none: a longer list grows. */
#define MOST_ROOM (1 << 20)

static int room(int64_t count) { return count < MOST_ROOM ? (int)count : MOST_ROOM; }

/* Begins a list of `count` values, or the attributes or the map of as many pairs. False: it is over
   already, and pushed unless it is attributes. */
static bool open_list(RedisValue *v, char kind, int64_t count) {
  lua_State *L = v->L;
  bool is_list = kind == '*';
  luaL_checkstack(L, 8, "a reply nested too deeply");
  lua_createtable(L, is_list ? room(count) : 0, is_list ? 0 : room(count));
  if (count) {
    v->open[v->depth++] =
        (RedisOpen){.table = lua_gettop(L), .kind = kind, .count = is_list ? count : 2 * count};
    return true;
  }
  if (is_list) json_set_mark(L, -1, JSON_ARRAY);
  if (kind == '|') lua_pop(L, 1);
  return false;
}

/* A key that a table cannot have (nil, NaN) is dropped with its value. */
static void put_pair(lua_State *L, int table) {
  bool is_nan = lua_type(L, -2) == LUA_TNUMBER && isnan(lua_tonumber(L, -2));
  if (lua_isnil(L, -2) || is_nan)
    lua_pop(L, 2);
  else
    lua_rawset(L, table);
}

/* Takes the value on the top. Has the list all its values then? */
static bool add(lua_State *L, RedisOpen *o) {
  o->taken++;
  if (o->kind == '*') {
    o->has_holes |= lua_isnil(L, -1);
    lua_rawseti(L, o->table, o->taken);
  } else if (o->taken % 2 == 0) {
    put_pair(L, o->table);
  }
  return o->taken == o->count;
}

/* Of attributes, which are dropped, nothing stays: the value that they belong to comes next. */
static void close_list(lua_State *L, const RedisOpen *o) {
  if (o->kind == '|')
    lua_pop(L, 1);
  else if (o->has_holes)
    redis_value_count(L, o->count);
  else if (o->kind == '*')
    json_set_mark(L, -1, JSON_ARRAY);
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

/* Bytes of a text that cost as much as a value. */
#define TEXT_COST 256

/* A string that is not null: "$5\r\nhello\r\n", from behind its type. */
static const char *push_string(lua_State *L, const char *p) {
  size_t n = 0;
  for (; *p != '\r'; p++) n = n * 10 + (size_t)(*p - '0');
  lua_pushlstring(L, p + 2, n);
  return p + 2 + n + 2;
}

/* The flags of the value that comes next. */
static unsigned flags_here(const RedisValue *v) {
  if (!v->depth) return v->flags;
  const RedisOpen *o = &v->open[0];
  bool has = v->depth == 1 && o->kind == '*' && o->taken < v->eaches;
  return has ? v->each[o->taken] : 0;
}

/* Reads the next value, or the head of a list. True: a value is pushed. */
static bool push_next(RedisValue *v, int64_t *budget) {
  lua_State *L = v->L;
  const char *p = v->at, *text, *end;
  char type = *p++;
  --*budget;
  if (type == '$' && *p != '-') {
    v->at = push_string(L, p);
    *budget -= (v->at - p) / TEXT_COST;
    return true;
  }
  end = line_end(p);
  v->at = end + 2;
  int64_t n;
  size_t len;
  switch (type) {
  case '$':
  case '_':
    lua_pushnil(L);
    return true;
  case '=': /* skip its "txt:" */
    n = redis_reply_number(p);
    lua_pushlstring(L, end + 2 + 4, (size_t)n - 4);
    v->at += n + 2;
    *budget -= n / TEXT_COST;
    return true;
  case ':':
    lua_pushinteger(L, redis_reply_number(p));
    return true;
  case '+':
  case '(':
    lua_pushlstring(L, p, (size_t)(end - p));
    return true;
  case '-':
  case '!':
    text = redis_value_error_text(p - 1, &len);
    redis_value_push_error(L, text, len, "");
    if (type == '!') v->at = text + len + 2;
    return true;
  case ',':
    push_double(L, p, end);
    return true;
  case '#':
    lua_pushboolean(L, *p == 't');
    return true;
  case '|':
    open_list(v, '|', redis_reply_number(p));
    return false;
  case '%':
    return !open_list(v, '%', redis_reply_number(p));
  default: /* a list, a set, a push */
    if (*p == '-') {
      lua_pushnil(L);
      return true;
    }
    n = redis_reply_number(p);
    if (type == '*' && n % 2 == 0 && flags_here(v) & REDIS_VALUE_MAP)
      return !open_list(v, '%', n / 2);
    return !open_list(v, '*', n);
  }
}

void redis_value_begin(RedisValue *v, lua_State *L, const char *bytes, unsigned flags) {
  v->L = L;
  v->at = bytes;
  v->flags = flags;
  v->each = NULL;
  v->eaches = v->depth = 0; /* `open` is large */
}

bool redis_value_go(RedisValue *v, int64_t *budget) {
  while (*budget > 0) {
    bool has_value = push_next(v, budget);
    while (has_value && v->depth) {
      RedisOpen *o = &v->open[v->depth - 1];
      if (!add(v->L, o)) break;
      close_list(v->L, o);
      v->depth--;
      has_value = o->kind != '|';
    }
    if (has_value && !v->depth) return true;
  }
  return false;
}

const char *redis_value_push(lua_State *L, const char *bytes, unsigned flags) {
  RedisValue v;
  int64_t budget = INT64_MAX;
  redis_value_begin(&v, L, bytes, flags);
  redis_value_go(&v, &budget);
  return v.at;
}
