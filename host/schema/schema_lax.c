#include "schema/schema_lax.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Longer texts are no numbers. */
#define NUMBER_MAX 400

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Copies the text without the space around it and the single underscores between digits. False
   where it cannot be a number. */
static bool copy_number(lua_State *L, int index, char *out) {
  size_t size;
  const char *s = lua_tolstring(L, index, &size), *end = s + size;
  while (s < end && is_space(*s)) s++;
  while (end > s && is_space(end[-1])) end--;
  if (end == s || end - s >= NUMBER_MAX) return false;
  const char *first = s;
  for (; s < end; s++) {
    if (*s == '_') {
      if (s == first || s + 1 == end || !is_digit(s[-1]) || !is_digit(s[1])) return false;
    } else if (is_digit(*s) || strchr("+-.eE", *s)) {
      if (!*s) return false;
      *out++ = *s;
    } else {
      return false;
    }
  }
  *out = 0;
  return true;
}

/* Pushes the whole number that a double is. */
static const char *push_whole(lua_State *L, lua_Number d) {
  lua_Integer i;
  if (!isfinite(d)) return "finite_number";
  if (d != floor(d)) return "int_from_float";
  if (!lua_numbertointeger(d, &i)) return "int_parsing_size";
  lua_pushinteger(L, i);
  return NULL;
}

static const char *parse_integer(lua_State *L, const char *s) {
  bool negative = *s == '-';
  if (*s == '-' || *s == '+') s++;
  if (!is_digit(*s)) return "int_parsing";
  lua_Unsigned value = 0;
  bool fits = true;
  for (; is_digit(*s); s++) {
    unsigned digit = (unsigned)(*s - '0');
    if (value > (LUA_MAXINTEGER - (lua_Unsigned)digit + negative) / 10) fits = false;
    value = value * 10 + digit;
  }
  if (*s == '.') { /* zeros alone may follow */
    if (*++s != '0') return "int_parsing";
    while (*s == '0') s++;
  }
  if (*s) return "int_parsing";
  if (!fits) return "int_parsing_size";
  lua_pushinteger(L, (lua_Integer)(negative ? 0 - value : value));
  return NULL;
}

const char *schema_lax_integer(lua_State *L, int index) {
  char text[NUMBER_MAX];
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    lua_pushinteger(L, lua_toboolean(L, index));
    return NULL;
  case LUA_TNUMBER:
    if (!lua_isinteger(L, index)) return push_whole(L, lua_tonumber(L, index));
    lua_pushvalue(L, index);
    return NULL;
  case LUA_TSTRING:
    return copy_number(L, index, text) ? parse_integer(L, text) : "int_parsing";
  default:
    return "int_type";
  }
}

const char *schema_lax_number(lua_State *L, int index) {
  char text[NUMBER_MAX];
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    lua_pushnumber(L, lua_toboolean(L, index));
    return NULL;
  case LUA_TNUMBER:
    if (!lua_isinteger(L, index) && !isfinite(lua_tonumber(L, index))) return "finite_number";
    lua_pushvalue(L, index);
    return NULL;
  case LUA_TSTRING:
    if (!copy_number(L, index, text)) return "float_parsing";
    const char *digits = *text == '+' ? text + 1 : text; /* Lua knows no plus in front */
    if (*digits == '+' || (*text == '+' && *digits == '-')) return "float_parsing";
    if (!lua_stringtonumber(L, digits)) return "float_parsing";
    if (isfinite(lua_tonumber(L, -1))) return NULL;
    lua_pop(L, 1);
    return "finite_number";
  default:
    return "float_type";
  }
}

const char *schema_lax_boolean(lua_State *L, int index) {
  static const char *const words[2][7] = {{"0", "off", "f", "false", "n", "no", NULL},
                                          {"1", "on", "t", "true", "y", "yes", NULL}};
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    lua_pushvalue(L, index);
    return NULL;
  case LUA_TNUMBER: {
    lua_Number d = lua_tonumber(L, index);
    if (d != 0 && d != 1) return lua_isinteger(L, index) ? "bool_parsing" : "bool_type";
    lua_pushboolean(L, d == 1);
    return NULL;
  }
  case LUA_TSTRING: {
    size_t size;
    const char *s = lua_tolstring(L, index, &size);
    for (int value = 0; value < 2; value++)
      for (const char *const *word = words[value]; *word; word++)
        if (strlen(*word) == size && strncasecmp(*word, s, size) == 0) {
          lua_pushboolean(L, value);
          return NULL;
        }
    return "bool_parsing";
  }
  default:
    return "bool_type";
  }
}
