/* Lua's values as parameters. */
#include "sql/pg/pg_types.h"

#include "base/hex.h"
#include "core/counted_list.h"
#include "sql/pg/pg_array.h"
#include "sql/pg/pg_time.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_value.h"
#include "json/json.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

enum {
  BOOL = 16,
  BYTEA = 17,
  INT8 = 20,
  INT2 = 21,
  INT4 = 23,
  JSON = 114,
  FLOAT4 = 700,
  FLOAT8 = 701,
  TIMESTAMPTZ = 1184,
  JSONB = 3802
};

static bool fail(char why[400], const char *what) {
  snprintf(why, 400, "%s", what);
  return false;
}

static bool no_memory(char why[400]) {
  why[0] = 0;
  return false;
}

/* --- texts, for parameters, elements of arrays and columns of COPY --- */

static bool add_number(lua_State *L, int index, uint32_t oid, Buffer *out) {
  char text[64];
  int n;
  if (oid == TIMESTAMPTZ) {
    int64_t micros;
    if (!pg_time_micros(lua_tonumber(L, index), &micros)) micros = INT64_MAX;
    n = (int)pg_time_write(text, micros);
  } else if (lua_isinteger(L, index)) {
    n = snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
  } else {
    double value = lua_tonumber(L, index);
    bool whole =
        (oid == INT8 || oid == INT4 || oid == INT2) && value == floor(value) && fabs(value) < 1e19;
    n = isfinite(value) ? snprintf(text, sizeof text, whole ? "%.0f" : "%.17g", value)
        : isnan(value)  ? snprintf(text, sizeof text, "NaN")
                        : snprintf(text, sizeof text, value > 0 ? "Infinity" : "-Infinity");
  }
  return buffer_add(out, text, (size_t)n);
}

static bool add_hex(Buffer *out, const char *bytes, size_t len) {
  if (!buffer_reserve(out, 2 * len + 2)) return false;
  char *to = out->data + out->len;
  memcpy(to, "\\x", 2);
  hex_put(to + 2, bytes, len);
  out->len += 2 * len + 2;
  return true;
}

static bool add_json(lua_State *L, int index, Buffer *out, char why[400]) {
  JsonError error;
  return json_encode(L, index, out, 0, &error) || fail(why, error.message);
}

static bool is_null(lua_State *L, int index) {
  return lua_isnoneornil(L, index) || json_is_null(L, index);
}

static bool add_list(lua_State *L, int index, uint32_t element, Buffer *out, int depth,
                     char why[400]);

/* A scalar as text. */
static bool add_scalar(lua_State *L, int index, uint32_t oid, Buffer *out, char why[400]) {
  size_t len;
  const char *text;
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
    return add_number(L, index, oid, out) || no_memory(why);
  case LUA_TBOOLEAN: {
    bool is_true = lua_toboolean(L, index);
    return buffer_add(out, is_true ? "true" : "false", is_true ? 4 : 5) || no_memory(why);
  }
  case LUA_TSTRING:
    text = lua_tolstring(L, index, &len);
    return (oid == BYTEA ? add_hex(out, text, len) : buffer_add(out, text, len)) || no_memory(why);
  default:
    snprintf(why, 400, "a %s cannot be sent", luaL_typename(L, index));
    return false;
  }
}

/* What ml.sql.bytes or ml.sql.json has made; its content is on the top of L. */
static bool add_opened(lua_State *L, SqlValueKind kind, Buffer *out) {
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  return kind == SQL_VALUE_BYTES ? add_hex(out, text, len) : buffer_add(out, text, len);
}

/* An element of a list, on the top of L. */
static bool add_element(lua_State *L, uint32_t element, Buffer *out, int depth, char why[400]) {
  int index = lua_gettop(L);
  if (is_null(L, index)) return buffer_add(out, "NULL", 4) || no_memory(why);
  SqlValueKind kind = sql_value_open(L, index);
  if (kind == SQL_VALUE_PLAIN && lua_type(L, index) == LUA_TTABLE)
    return add_list(L, index, element, out, depth + 1, why);
  /* Its text is made behind what there is, then quoted in its place. */
  size_t from = out->len;
  bool ok = kind == SQL_VALUE_PLAIN ? add_scalar(L, index, element, out, why)
                                    : add_opened(L, kind, out) || no_memory(why);
  if (!ok) return false;
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER || type == LUA_TBOOLEAN) return true;
  size_t n = out->len - from;
  if (!buffer_reserve(out, 2 * n + 2)) return no_memory(why);
  char *copy = out->data + from;
  /* Quoted behind itself, and moved to its beginning. */
  size_t start = out->len;
  Buffer rest = {.data = out->data, .len = start, .cap = out->cap};
  pg_array_add_quoted(&rest, copy, n);
  memmove(copy, out->data + start, rest.len - start);
  out->len = from + (rest.len - start);
  return true;
}

/* How many elements: `n` of a counted list, or up to its last one. */
static lua_Integer count(lua_State *L, int index) {
  lua_Integer n;
  if (counted_list_is(L, index, &n)) return n;
  return (lua_Integer)lua_rawlen(L, index);
}

static bool add_list(lua_State *L, int index, uint32_t element, Buffer *out, int depth,
                     char why[400]) {
  if (depth > PG_ARRAY_DEPTH) return fail(why, "arrays have 6 dimensions at most");
  luaL_checkstack(L, 8, "a list");
  lua_Integer n = count(L, index);
  if (!n) {
    lua_pushnil(L);
    if (lua_next(L, index)) {
      lua_pop(L, 2);
      return fail(why, "a table with names is no list: give it as ml.sql.json(t)");
    }
  }
  if (!buffer_add_char(out, '{')) return no_memory(why);
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1 && !buffer_add_char(out, ',')) return no_memory(why);
    lua_rawgeti(L, index, i);
    int top = lua_gettop(L);
    if (!add_element(L, element, out, depth, why)) return false;
    lua_settop(L, top - 1);
  }
  return buffer_add_char(out, '}') || no_memory(why);
}

/* --- parameters --- */

static bool put(Buffer *out, const void *bytes, size_t len, char why[400]) {
  if (len > INT32_MAX) return fail(why, "a value has less than 2 GB");
  if (!buffer_reserve(out, 4 + len)) return no_memory(why);
  pg_wire_put32(out->data + out->len, (uint32_t)len);
  out->len += 4;
  return buffer_add(out, bytes, len);
}

/* The number in the binary format of its type, where it has one. */
static bool put_number(lua_State *L, int index, uint32_t oid, Buffer *out) {
  char bytes[8];
  size_t len = 8;
  int is_integer;
  lua_Integer integer = lua_tointegerx(L, index, &is_integer);
  switch (oid) {
  case INT4:
    if (!is_integer || integer != (int32_t)integer) return false;
    pg_wire_put32(bytes, (uint32_t)integer);
    len = 4;
    break;
  case INT8:
    if (!is_integer) return false;
    pg_wire_put64(bytes, (uint64_t)integer);
    break;
  case INT2:
    if (!is_integer || integer != (int16_t)integer) return false;
    pg_wire_put16(bytes, (uint16_t)integer);
    len = 2;
    break;
  case FLOAT8: {
    double value = lua_tonumber(L, index);
    uint64_t bits;
    memcpy(&bits, &value, 8);
    pg_wire_put64(bytes, bits);
    break;
  }
  case TIMESTAMPTZ: {
    int64_t micros;
    if (!pg_time_micros(lua_tonumber(L, index), &micros)) return false;
    pg_wire_put64(bytes, (uint64_t)micros);
    break;
  }
  default:
    return false;
  }
  char why[400];
  return put(out, bytes, len, why);
}

/* What was appended from `from` on, behind room for its length, is the parameter. */
static bool put_length(Buffer *out, size_t from, char why[400]) {
  size_t len = out->len - from - 4;
  if (len > INT32_MAX) return fail(why, "a value has less than 2 GB");
  pg_wire_put32(out->data + from, (uint32_t)len);
  return true;
}

static bool put_table(lua_State *L, int index, uint32_t oid, Buffer *out, uint16_t *format,
                      char why[400]) {
  size_t from = out->len;
  SqlValueKind kind = sql_value_open(L, index);
  if (kind == SQL_VALUE_BYTES && oid == BYTEA) {
    size_t len;
    const char *bytes = lua_tolstring(L, -1, &len);
    *format = 1;
    return put(out, bytes, len, why);
  }
  if (!buffer_add(out, "\0\0\0\0", 4)) return no_memory(why);
  bool ok = kind != SQL_VALUE_PLAIN       ? add_opened(L, kind, out) || no_memory(why)
            : oid == JSON || oid == JSONB ? add_json(L, index, out, why)
                                          : add_list(L, index, pg_types_element(oid), out, 1, why);
  return ok && put_length(out, from, why);
}

bool pg_types_encode(lua_State *L, int index, uint32_t oid, Buffer *out, uint16_t *format,
                     char why[400]) {
  *format = 0;
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER && put_number(L, index, oid, out)) {
    *format = 1;
    return true;
  }
  if (type == LUA_TBOOLEAN && oid == BOOL) {
    char byte = (char)lua_toboolean(L, index);
    *format = 1;
    return put(out, &byte, 1, why);
  }
  if (type == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    *format = oid == BYTEA;
    return put(out, text, len, why);
  }
  if (is_null(L, index)) {
    if (!buffer_reserve(out, 4)) return no_memory(why);
    pg_wire_put32(out->data + out->len, UINT32_MAX);
    out->len += 4;
    return true;
  }
  int top = lua_gettop(L);
  size_t from = out->len;
  bool ok;
  if (type == LUA_TTABLE)
    ok = put_table(L, index, oid, out, format, why);
  else
    ok = (buffer_add(out, "\0\0\0\0", 4) || no_memory(why)) &&
         add_scalar(L, index, oid, out, why) && put_length(out, from, why);
  lua_settop(L, top);
  if (!ok) out->len = from;
  return ok;
}
