#include "sql/pg/pg_types.h"

#include "sql/pg/pg_array.h"
#include "sql/pg/pg_time.h"
#include "sql/pg/pg_wire.h"
#include "json/json.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

typedef enum Decoder {
  AS_IT_IS,
  BOOL,
  INT2,
  INT4,
  INT8,
  OID,
  FLOAT4,
  FLOAT8,
  TIME,
  TEXT_BOOL, /* these come as text */
  TEXT_INTEGER,
  TEXT_FLOAT,
  TEXT_BYTEA,
  TEXT_TIME,
  NUMERIC,
  JSON,
  ARRAY
} Decoder;

/* PostgreSQL's types whose values are no text in Lua (src/include/catalog/pg_type.dat), and the
   types of arrays of any. */
typedef struct Type {
  uint32_t oid, array;
  uint8_t binary; /* the decoder; AS_IT_IS: it has none */
  uint8_t text;
} Type;

static const Type types[] = {
    {16, 1000, BOOL, TEXT_BOOL},      /* bool */
    {17, 1001, AS_IT_IS, TEXT_BYTEA}, /* bytea */
    {18, 1002, AS_IT_IS, AS_IT_IS},   /* "char" */
    {19, 1003, AS_IT_IS, AS_IT_IS},   /* name */
    {20, 1016, INT8, TEXT_INTEGER},   /* int8 */
    {21, 1005, INT2, TEXT_INTEGER},   /* int2 */
    {23, 1007, INT4, TEXT_INTEGER},   /* int4 */
    {25, 1009, AS_IT_IS, AS_IT_IS},   /* text */
    {26, 1028, OID, TEXT_INTEGER},    /* oid */
    {114, 199, AS_IT_IS, JSON},       /* json */
    {142, 143, AS_IT_IS, AS_IT_IS},   /* xml */
    {650, 651, AS_IT_IS, AS_IT_IS},   /* cidr */
    {700, 1021, FLOAT4, TEXT_FLOAT},  /* float4 */
    {701, 1022, FLOAT8, TEXT_FLOAT},  /* float8 */
    {829, 1040, AS_IT_IS, AS_IT_IS},  /* macaddr */
    {869, 1041, AS_IT_IS, AS_IT_IS},  /* inet */
    {1042, 1014, AS_IT_IS, AS_IT_IS}, /* bpchar */
    {1043, 1015, AS_IT_IS, AS_IT_IS}, /* varchar */
    {1082, 1182, AS_IT_IS, AS_IT_IS}, /* date */
    {1083, 1183, AS_IT_IS, AS_IT_IS}, /* time */
    {1114, 1115, AS_IT_IS, AS_IT_IS}, /* timestamp */
    {1184, 1185, TIME, TEXT_TIME},    /* timestamptz */
    {1186, 1187, AS_IT_IS, AS_IT_IS}, /* interval */
    {1266, 1270, AS_IT_IS, AS_IT_IS}, /* timetz */
    {1560, 1561, AS_IT_IS, AS_IT_IS}, /* bit */
    {1562, 1563, AS_IT_IS, AS_IT_IS}, /* varbit */
    {1700, 1231, AS_IT_IS, NUMERIC},  /* numeric */
    {2950, 2951, AS_IT_IS, AS_IT_IS}, /* uuid */
    {3802, 3807, AS_IT_IS, JSON},     /* jsonb */
};

static const Type *find(uint32_t oid, bool *is_array) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    *is_array = types[i].array == oid;
    if (types[i].oid == oid || *is_array) return &types[i];
  }
  return NULL;
}

uint32_t pg_types_element(uint32_t oid) {
  bool is_array;
  const Type *type = find(oid, &is_array);
  return type && is_array ? type->oid : 0;
}

#define BYTEA 17

void pg_types_set(PgColumn *column, uint32_t oid, uint8_t format) {
  bool is_array;
  const Type *type = find(oid, &is_array);
  *column = (PgColumn){.oid = oid, .format = format};
  if (!type) return;
  if (!is_array) {
    column->decoder = format ? type->binary : type->text;
  } else if (!format) {
    column->decoder = ARRAY;
    column->element = type->text;
  }
}

void pg_types_choose(PgColumn *column, uint32_t oid) {
  bool is_array;
  const Type *type = find(oid, &is_array);
  bool binary = type && !is_array && (type->binary != AS_IT_IS || oid == BYTEA);
  pg_types_set(column, oid, binary);
}

void pg_types_push_null(lua_State *L) { json_push_null(L); }

/* --- texts --- */

static void push_number(lua_State *L, const char *bytes, size_t len) {
  char text[64], *end;
  if (len < sizeof text) {
    memcpy(text, bytes, len);
    text[len] = 0;
    size_t n = lua_stringtonumber(L, text);
    if (n == len + 1) return;
    if (n) lua_pop(L, 1);              /* there is a NUL in it */
    double value = strtod(text, &end); /* "NaN", "Infinity" */
    if (!*end) {
      lua_pushnumber(L, value);
      return;
    }
  } else { /* a numeric of many digits */
    lua_pushlstring(L, bytes, len);
    if (lua_stringtonumber(L, lua_tostring(L, -1))) lua_remove(L, -2);
    return;
  }
  lua_pushlstring(L, bytes, len);
}

static void push_float(lua_State *L, const char *bytes, size_t len) {
  push_number(L, bytes, len);
  if (lua_isinteger(L, -1)) {
    lua_Number value = (lua_Number)lua_tointeger(L, -1);
    if (len && *bytes == '-' && value == 0) value = -0.0;
    lua_pop(L, 1);
    lua_pushnumber(L, value);
  }
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x00ff" */
static void push_bytea(lua_State *L, const char *bytes, size_t len) {
  luaL_Buffer b;
  if (len < 2 || bytes[0] != '\\' || bytes[1] != 'x' || len % 2) {
    lua_pushlstring(L, bytes, len);
    return;
  }
  char *to = luaL_buffinitsize(L, &b, len / 2);
  for (size_t i = 2; i < len; i += 2)
    *to++ = (char)(hex_digit(bytes[i]) * 16 + hex_digit(bytes[i + 1]));
  luaL_pushresultsize(&b, len / 2 - 1);
}

static void push_time(lua_State *L, int64_t micros, const PgTypeOptions *options) {
  if (options->time_text) {
    char text[PG_TIME_SIZE];
    size_t n = pg_time_write(text, micros);
    lua_pushlstring(L, text, n);
  } else {
    lua_pushnumber(L, pg_time_seconds(micros));
  }
}

static void push_json(lua_State *L, const char *bytes, size_t len) {
  JsonError error;
  if (!json_decode(L, bytes, len, &error)) lua_pushlstring(L, bytes, len);
}

typedef struct Element {
  PgColumn column;
  const PgTypeOptions *options;
} Element;

static void push_element(lua_State *L, const char *bytes, size_t len, void *data) {
  const Element *element = data;
  pg_types_push(L, &element->column, bytes, len, element->options);
}

static void push_array(lua_State *L, const PgColumn *column, const char *bytes, size_t len,
                       const PgTypeOptions *options) {
  Element element = {.column = {.decoder = column->element}, .options = options};
  if (!pg_array_push(L, bytes, len, push_element, &element)) lua_pushlstring(L, bytes, len);
}

void pg_types_push(lua_State *L, const PgColumn *column, const char *bytes, size_t len,
                   const PgTypeOptions *options) {
  switch ((Decoder)column->decoder) {
  case INT4:
    if (len != 4) break;
    lua_pushinteger(L, (int32_t)pg_wire_get32(bytes));
    return;
  case INT8:
    if (len != 8) break;
    lua_pushinteger(L, (int64_t)pg_wire_get64(bytes));
    return;
  case INT2:
    if (len != 2) break;
    lua_pushinteger(L, (int16_t)pg_wire_get16(bytes));
    return;
  case OID:
    if (len != 4) break;
    lua_pushinteger(L, pg_wire_get32(bytes));
    return;
  case BOOL:
    if (len != 1) break;
    lua_pushboolean(L, *bytes);
    return;
  case FLOAT8: {
    if (len != 8) break;
    uint64_t bits = pg_wire_get64(bytes);
    double value;
    memcpy(&value, &bits, 8);
    lua_pushnumber(L, value);
    return;
  }
  case FLOAT4: {
    if (len != 4) break;
    uint32_t bits = pg_wire_get32(bytes);
    float value;
    memcpy(&value, &bits, 4);
    lua_pushnumber(L, value);
    return;
  }
  case TIME:
    if (len != 8) break;
    push_time(L, (int64_t)pg_wire_get64(bytes), options);
    return;
  case TEXT_BOOL:
    lua_pushboolean(L, len && *bytes == 't');
    return;
  case TEXT_INTEGER:
    push_number(L, bytes, len);
    return;
  case TEXT_FLOAT:
    push_float(L, bytes, len);
    return;
  case TEXT_BYTEA:
    push_bytea(L, bytes, len);
    return;
  case TEXT_TIME: {
    int64_t micros;
    if (!pg_time_read(bytes, len, &micros)) break;
    push_time(L, micros, options);
    return;
  }
  case NUMERIC:
    if (!options->numeric_number) break;
    push_number(L, bytes, len);
    return;
  case JSON:
    push_json(L, bytes, len);
    return;
  case ARRAY:
    push_array(L, column, bytes, len, options);
    return;
  case AS_IT_IS:
    break;
  }
  lua_pushlstring(L, bytes, len);
}
