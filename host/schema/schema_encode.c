/* Values to JSON by a schema: what the schema does not have stays inside; declared in schema.h.
   Only what fits is written: where something does not, a walk tells all that is wrong. */
#include "schema/schema_equal.h"
#include "schema/schema_error.h"
#include "schema/schema_walk.h"
#include "json/json.h"
#include "json/json_number.h"
#include "json/json_scan.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define WALK_STEPS 5000000

/* The years that a date-time can have, as Unix seconds. */
#define UNIX_MIN (-62135596800.0)
#define UNIX_MAX 253402300799.0

typedef struct Encoder {
  lua_State *L;
  Buffer *out;
  SchemaWalk walk;
  int depth;
} Encoder;

static bool put(Encoder *e, const SchemaNode *n, int index);

static bool put_plain(Encoder *e, int index) {
  JsonError error;
  return json_encode(e->L, index, e->out, 0, &error);
}

static bool put_string(Encoder *e, int index, const char *s, size_t size) {
  Buffer *out = e->out;
  if (!buffer_reserve(out, size + 2)) return false;
  if (json_skip_plain(s, s + size) != s + size) return put_plain(e, index);
  char *o = out->data + out->len;
  *o = '"';
  memcpy(o + 1, s, size);
  o[size + 1] = '"';
  out->len += size + 2;
  return true;
}

static bool put_unix(Encoder *e, double seconds) {
  if (!(seconds >= UNIX_MIN && seconds <= UNIX_MAX)) return false;
  double whole = floor(seconds);
  int micros = (int)((seconds - whole) * 1e6 + 0.5);
  if (micros >= 1000000) whole += 1, micros = 0;
  time_t t = (time_t)whole;
  struct tm tm;
  if (!gmtime_r(&t, &tm)) return false;
  Buffer *out = e->out;
  size_t start = out->len;
  bool ok = buffer_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                          tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
  if (ok && micros) ok = buffer_printf(out, ".%06d", micros);
  if (ok && buffer_add(out, "Z\"", 2)) return true;
  out->len = start;
  return false;
}

static bool put_text(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  if (n->format == SCHEMA_FORMAT_DATETIME && lua_type(L, index) == LUA_TNUMBER)
    return put_unix(e, lua_tonumber(L, index));
  if (lua_type(L, index) != LUA_TSTRING) return false;
  size_t size;
  const char *s = lua_tolstring(L, index, &size), *detail;
  if (n->kind == SCHEMA_BYTES) {
    if (size < n->size_min || size > n->size_max) return false;
  } else if (!schema_node_size_fits(n, s, size)) {
    return false;
  }
  if ((n->format || n->pattern || n->match) && schema_walk_text(&e->walk, n, s, size, &detail))
    return false;
  return put_string(e, index, s, size);
}

static bool put_number(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  Buffer *out = e->out;
  const SchemaBound *bound;
  if (lua_type(L, index) != LUA_TNUMBER || !buffer_reserve(out, NUMBER_TEXT_MAX)) return false;
  if (n->has_bounds && schema_walk_bound(L, n, index, &bound)) return false;
  lua_Integer i = lua_tointeger(L, index);
  if (!lua_isinteger(L, index)) {
    lua_Number v = lua_tonumber(L, index);
    if (!isfinite(v)) return false;
    if (n->kind == SCHEMA_NUMBER) {
      out->len += json_number_put_double(out->data + out->len, v);
      return true;
    }
    if (v != floor(v) || !lua_numbertointeger(v, &i)) return false;
  }
  out->len += json_number_put_integer(out->data + out->len, i);
  return true;
}

static bool put_list(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  if (!schema_walk_is_list(L, index)) return false;
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  bool is_tuple = n->kind == SCHEMA_TUPLE;
  if (is_tuple ? count != (lua_Integer)n->count
               : count < (lua_Integer)n->size_min || count > (lua_Integer)n->size_max)
    return false;
  if (n->is_unique && schema_equal_has_twins(L, index, count, &e->walk.steps)) return false;
  if (!buffer_add_char(e->out, '[')) return false;
  int top = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1 && !buffer_add_char(e->out, ',')) return false;
    lua_rawgeti(L, index, i);
    if (!put(e, is_tuple ? n->nodes[i - 1] : n->item, top + 1)) return false;
    lua_settop(L, top);
  }
  return buffer_add_char(e->out, ']');
}

/* Writes the members that the object does not list, or all of a map. */
static bool put_others(Encoder *e, const SchemaNode *n, int index, bool first, uint32_t *count) {
  lua_State *L = e->L;
  int top = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    size_t size;
    if (lua_type(L, top + 1) != LUA_TSTRING) return false;
    const char *key = lua_tolstring(L, top + 1, &size);
    if (n->kind == SCHEMA_MAP || schema_node_find(n, key, size) < 0) {
      if (n->kind == SCHEMA_OBJECT && n->extra == SCHEMA_FORBID) return false;
      if (!first && !buffer_add_char(e->out, ',')) return false;
      first = false;
      if (!put_string(e, top + 1, key, size) || !buffer_add_char(e->out, ':') ||
          !put(e, n->item, top + 2))
        return false;
      ++*count;
    }
    lua_settop(L, top + 1);
  }
  return true;
}

static bool put_map(Encoder *e, const SchemaNode *n, int index) {
  uint32_t count = 0;
  return schema_walk_is_object(e->L, index) && buffer_add_char(e->out, '{') &&
         put_others(e, n, index, true, &count) && count >= n->size_min && count <= n->size_max &&
         buffer_add_char(e->out, '}');
}

/* Writes field i of the table at `index`; its keys are at `keys`. */
static bool put_field(Encoder *e, const SchemaNode *n, uint32_t i, int index, int keys,
                      bool *first) {
  lua_State *L = e->L;
  Buffer *out = e->out;
  const SchemaField *field = &n->fields[i];
  lua_rawgeti(L, keys, (lua_Integer)i + 1);
  bool absent = lua_rawget(L, index) == LUA_TNIL;
  if (absent && field->has_default) {
    lua_rawgeti(L, keys, (lua_Integer)(n->count + i) + 1);
    lua_replace(L, keys + 1);
    absent = false;
  }
  if (absent && !field->node->is_nullable) {
    lua_settop(L, keys);
    return !field->is_required;
  }
  if (!*first && !buffer_add_char(out, ',')) return false;
  *first = false;
  if (!buffer_add(out, field->json, field->json_size)) return false;
  bool ok = absent ? buffer_add(out, "null", 4) : put(e, field->node, keys + 1);
  lua_settop(L, keys);
  return ok;
}

static bool put_object(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  if (!schema_walk_is_object(L, index) || !buffer_add_char(e->out, '{')) return false;
  lua_rawgeti(L, e->walk.table, n->list);
  int keys = lua_gettop(L);
  bool first = true;
  for (uint32_t i = 0; i < n->count; i++)
    if (!n->fields[i].is_hidden && !put_field(e, n, i, index, keys, &first)) return false;
  uint32_t count = 0;
  if (n->extra == SCHEMA_CHECK && !put_others(e, n, index, first, &count)) return false;
  lua_settop(L, keys - 1);
  return buffer_add_char(e->out, '}');
}

/* The first branch that the value can be written by. */
static bool put_union(Encoder *e, const SchemaNode *n, int index) {
  int top = lua_gettop(e->L);
  size_t start = e->out->len;
  for (uint32_t i = 0; i < n->count; i++) {
    if (--e->walk.steps <= 0) return false;
    if (put(e, n->nodes[i], index)) return true;
    lua_settop(e->L, top);
    e->out->len = start;
  }
  return false;
}

static bool put_tagged(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  if (!schema_walk_is_object(L, index)) return false;
  lua_pushlstring(L, n->tag, n->tag_size);
  size_t size;
  const char *tag = lua_rawget(L, index) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  int i = tag ? schema_node_find(n, tag, size) : -1;
  lua_pop(L, 1);
  return i >= 0 && put(e, n->fields[i].node, index);
}

/* Writes what a walk makes of the value. */
static bool put_walked(Encoder *e, const SchemaNode *n, int index) {
  lua_State *L = e->L;
  int top = lua_gettop(L);
  e->walk.build = true;
  bool ok = schema_walk_value(&e->walk, n, index, NULL) && put_plain(e, top + 1);
  lua_settop(L, top);
  return ok;
}

static bool put_kind(Encoder *e, const SchemaNode *n, int index) {
  switch ((SchemaKind)n->kind) {
  case SCHEMA_STRING:
  case SCHEMA_BYTES:
    return put_text(e, n, index);
  case SCHEMA_INT:
  case SCHEMA_NUMBER:
    return put_number(e, n, index);
  case SCHEMA_BOOL:
    return lua_type(e->L, index) == LUA_TBOOLEAN && put_plain(e, index);
  case SCHEMA_LIST:
  case SCHEMA_TUPLE:
    return put_list(e, n, index);
  case SCHEMA_MAP:
    return put_map(e, n, index);
  case SCHEMA_OBJECT:
    return put_object(e, n, index);
  case SCHEMA_UNION:
    return put_union(e, n, index);
  case SCHEMA_TAGGED:
    return put_tagged(e, n, index);
  case SCHEMA_REF:
    return put(e, n->item, index);
  case SCHEMA_ANY:
    return put_plain(e, index);
  case SCHEMA_DECIMAL:
  case SCHEMA_LITERAL:
  case SCHEMA_RULES:
    break;
  }
  return put_walked(e, n, index);
}

static bool put(Encoder *e, const SchemaNode *n, int index) {
  if (n->is_nullable && json_is_null(e->L, index)) return buffer_add(e->out, "null", 4);
  if (e->depth >= JSON_MAX_DEPTH || !lua_checkstack(e->L, 16)) return false;
  e->depth++;
  bool ok = put_kind(e, n, index);
  e->depth--;
  return ok;
}

bool schema_encode(lua_State *L, const SchemaNode *n, int table, int index, Buffer *out) {
  size_t start = out->len;
  int top = lua_gettop(L);
  luaL_checkstack(L, 24, NULL);
  index = lua_absindex(L, index);
  Encoder e = {
      .L = L, .out = out, .walk = {.L = L, .table = lua_absindex(L, table), .steps = WALK_STEPS}};
  if (put(&e, n, index)) {
    lua_settop(L, top);
    return true;
  }
  out->len = start;
  lua_settop(L, top);
  lua_newtable(L);
  SchemaWalk w = {
      .L = L, .table = e.walk.table, .errors = top + 1, .output = true, .steps = WALK_STEPS};
  bool fits = schema_walk_value(&w, n, index, NULL);
  if (fits || !w.count) { /* what only JSON minds */
    JsonError error = {.message = "nested too deeply"};
    json_encode(L, index, out, 0, &error);
    out->len = start;
    schema_error_text(&w, n, index, NULL, "encode_error", error.message);
  }
  lua_settop(L, top + 1);
  return false;
}
