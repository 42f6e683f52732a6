/* The values of JSON text. */
#include "base/array_part.h"
#include "core/script_place.h"
#include "json/json_decoder.h"
#include "json/json_number.h"
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>

/* From this many elements on, a call of list_maker is faster. */
#define LONG_LIST 16

static const char list_maker_key; /* its address is the registry's key of that function */

static bool decode_value(Decoder *d);

static inline bool is_digit(const char *p, const char *end) {
  return p < end && *p >= '0' && *p <= '9';
}

/* At a digit or a minus sign. */
static bool decode_number(Decoder *d) {
  const char *start = d->p, *p = start, *end = d->end;
  bool negative = *p == '-';
  if (negative) p++;
  if (!is_digit(p, end)) return json_decoder_unexpected(d, p, "a digit");
  const char *digits = p;
  uint64_t m = 0; /* the first 19 digits, which always fit */
  bool all = true;
  for (; is_digit(p, end); p++) m = m * 10 + (unsigned)(*p - '0');
  if (*digits == '0' && p - digits > 1)
    return json_decoder_fail(d, digits, "a number must not start with a superfluous 0");
  bool fraction = p < end && *p == '.', exponent_part = p < end && (*p | 0x20) == 'e';
  if (!fraction && !exponent_part) {
    d->p = p;
    size_t count = (size_t)(p - digits);
    /* 19 digits fit in 64 unsigned bits; 2^63 itself is good for the negative ones. */
    if (count < 19 || (count == 19 && m < (UINT64_C(1) << 63) + negative)) {
      lua_pushinteger(d->L, (lua_Integer)(negative ? 0 - m : m));
      return true;
    }
  }
  int64_t exponent = 0;
  if (p - digits > 19) all = false;
  if (fraction) {
    const char *first = ++p;
    if (!is_digit(p, end)) return json_decoder_unexpected(d, p, "a digit");
    for (; is_digit(p, end); p++) m = m * 10 + (unsigned)(*p - '0');
    exponent = -(p - first);
    /* Leading zeros do not count: 0.001 is one digit. */
    const char *significant = digits;
    while (significant < p && (*significant == '0' || *significant == '.')) significant++;
    if (p - significant > 19) all = false;
    exponent_part = p < end && (*p | 0x20) == 'e';
  }
  const char *digits_end = p;
  if (exponent_part) {
    p++;
    bool down = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (!is_digit(p, end)) return json_decoder_unexpected(d, p, "a digit");
    int64_t e = 0;
    for (; is_digit(p, end); p++)
      if (e < INT64_C(1) << 48) e = e * 10 + (*p - '0'); /* texts are shorter than that */
    exponent += down ? -e : e;
  }
  d->p = p;
  double value;
  if (!(all && json_number_from_decimal(m, exponent, &value)) &&
      !json_number_from_digits(digits, digits_end, exponent, &value))
    return json_decoder_out_of_memory(d);
  if (isinf(value)) return json_decoder_fail(d, start, "a number beyond the range of a double");
  lua_pushnumber(d->L, negative ? -value : value);
  return true;
}

/* Pushes list_maker(...) -> {...}. Lua's table constructor fills a table in one go, while
   lua_rawseti looks up the place of each element. */
static void push_list_maker(lua_State *L) {
  static const char code[] = "return {...}";
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &list_maker_key) == LUA_TFUNCTION) return;
  lua_pop(L, 1);
  if (luaL_loadbufferx(L, code, sizeof code - 1, SCRIPT_PLACE_HOST "/json", "t") != LUA_OK)
    lua_error(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &list_maker_key);
}

void json_decoder_collect(lua_State *L, int table, int count) {
  if (count >= LONG_LIST && lua_checkstack(L, 2 * count)) { /* its arguments, and once more */
    push_list_maker(L);
    lua_replace(L, table);
    lua_call(L, count, 1);
    return;
  }
  lua_createtable(L, count, 0);
  lua_replace(L, table);
  for (; count > 0; count--) lua_rawseti(L, table, count);
}

/* Fills the table, which is empty and has room for them. */
static void put_integers(lua_State *L, int table, const int64_t *numbers, size_t count) {
  size_t size;
  ArraySlot *slots = array_part(L, table, &size);
  if (slots && size >= count) {
    for (size_t i = 0; i < count; i++)
      slots[i] = (ArraySlot){.bits = (uint64_t)numbers[i], .tag = ARRAY_INTEGER};
    return;
  }
  for (size_t i = 0; i < count; i++) {
    lua_pushinteger(L, numbers[i]);
    lua_rawseti(L, table, (lua_Integer)i + 1);
  }
}

/* At the first element of a list, a number. Where the list is one of short integers, and not longer
   than JSON_PENDING_MAX: reads all of it and makes its table in the slot. Else returns false and
   leaves the `count` integers at its beginning on the stack. Not inlined: decode_value recurses,
   and would have the numbers in each of its frames. */
__attribute__((noinline)) static bool decode_integers(Decoder *d, int table, lua_Integer *count) {
  lua_State *L = d->L;
  int64_t numbers[JSON_PENDING_MAX - 1];
  bool ended;
  size_t n = json_number_read_list(&d->p, d->end, numbers, JSON_PENDING_MAX - 1, &ended);
  if (ended) {
    d->depth--;
    lua_createtable(L, (int)n, 0);
    lua_replace(L, table);
    put_integers(L, table, numbers, n);
    return true;
  }
  if (n) d->p = json_decoder_skip_space(d->p, d->end);
  if (!lua_checkstack(L, (int)n + JSON_STACK_ROOM)) json_decoder_out_of_memory(d);
  for (size_t i = 0; i < n; i++) lua_pushinteger(L, numbers[i]);
  *count = (lua_Integer)n;
  return false;
}

/* Decodes the elements after the `count` ones on the stack, and makes the table in the slot. */
static bool decode_elements(Decoder *d, int table, lua_Integer count) {
  lua_State *L = d->L;
  int more = 1;
  while (more) {
    if (count % 16 == 0 && !lua_checkstack(L, JSON_STACK_ROOM))
      return json_decoder_out_of_memory(d);
    if (!decode_value(d)) return false;
    count++;
    if (count > JSON_PENDING_MAX)
      lua_rawseti(L, table, count);
    else if (count == JSON_PENDING_MAX)
      json_decoder_collect(L, table, JSON_PENDING_MAX);
    more = json_decoder_next(d, ']');
    if (more < 0) return false;
  }
  if (count < JSON_PENDING_MAX) json_decoder_collect(L, table, (int)count);
  return true;
}

static bool decode_array(Decoder *d) {
  lua_State *L = d->L;
  if (!json_decoder_enter(d)) return false;
  int table = lua_gettop(L);
  lua_Integer count = 0;
  char first = d->p < d->end ? *d->p : 0;
  if (first == ']') {
    d->p++;
    d->depth--;
    json_decoder_collect(L, table, 0);
  } else if (!((first == '-' || (first >= '0' && first <= '9')) &&
               decode_integers(d, table, &count)) &&
             !decode_elements(d, table, count)) {
    return false;
  }
  json_decoder_mark_array(d, table);
  return true;
}

void json_decoder_collect_object(lua_State *L, int table, int count, int room) {
  lua_createtable(L, 0, room);
  lua_replace(L, table);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, table + 1 + i * 2);
    lua_pushvalue(L, table + 2 + i * 2);
    lua_rawset(L, table);
  }
  lua_settop(L, table);
}

static bool decode_object(Decoder *d) {
  lua_State *L = d->L;
  if (!json_decoder_enter(d)) return false;
  int table = lua_gettop(L), more = 1;
  size_t count = 0;
  if (d->p < d->end && *d->p == '}') {
    d->p++;
    d->depth--;
    more = 0;
  }
  while (more) {
    if (count % 8 == 0 && !lua_checkstack(L, JSON_STACK_ROOM)) return json_decoder_out_of_memory(d);
    if (!json_decoder_key(d, count == 0)) return false;
    if (!decode_value(d)) return false;
    count++;
    if (count > JSON_PENDING_MAX / 2)
      lua_rawset(L, table);
    else if (count == JSON_PENDING_MAX / 2)
      json_decoder_collect_object(L, table, JSON_PENDING_MAX / 2, JSON_PENDING_MAX);
    more = json_decoder_next(d, '}');
    if (more < 0) return false;
  }
  if (count < JSON_PENDING_MAX / 2) json_decoder_collect_object(L, table, (int)count, (int)count);
  return true;
}

static bool decode_word(Decoder *d, const char *word, size_t size) {
  if ((size_t)(d->end - d->p) < size || memcmp(d->p, word, size) != 0)
    return json_decoder_unexpected(d, d->p, "a value");
  d->p += size;
  return true;
}

/* At the first character of a value: pushes it and moves past it. On failure, json_decode removes
   what has been pushed. */
static bool decode_value(Decoder *d) {
  lua_State *L = d->L;
  if (d->p >= d->end) return json_decoder_unexpected(d, d->p, "a value");
  switch (*d->p) {
  case '{':
    return decode_object(d);
  case '[':
    return decode_array(d);
  case '"':
    return json_decoder_string(d);
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return decode_number(d);
  case 't':
    if (!decode_word(d, "true", 4)) return false;
    lua_pushboolean(L, 1);
    return true;
  case 'f':
    if (!decode_word(d, "false", 5)) return false;
    lua_pushboolean(L, 0);
    return true;
  case 'n':
    if (!decode_word(d, "null", 4)) return false;
    json_push_null(L);
    return true;
  default:
    return json_decoder_unexpected(d, d->p, "a value");
  }
}

bool json_decoder_value(Decoder *d) { return decode_value(d); }

void json_decoder_mark_array(Decoder *d, int table) {
  lua_State *L = d->L;
  if (lua_isnil(L, d->array_mark)) { /* the first array of the text */
    json_push_mark(L, JSON_ARRAY);
    lua_replace(L, d->array_mark);
  }
  lua_pushvalue(L, d->array_mark);
  lua_setmetatable(L, table);
}
