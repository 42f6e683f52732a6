#include "schema/schema_walk.h"

#include "schema/schema_equal.h"
#include "schema/schema_error.h"
#include "schema/schema_format.h"
#include "schema/schema_lax.h"
#include "schema/schema_pattern.h"
#include "schema/schema_rules.h"
#include "json/json.h"

#include <lauxlib.h>
#include <math.h>

/* Nodes that are visited at most. */
#define STEPS_MAX 5000000

/* Those for a short text: one of a few bytes is not to hold up the loop for long. */
#define STEPS_SHORT 10000
#define STEPS_BYTE 64 /* for each byte of the text */

/* Steps of patterns that are free. */
#define PATTERN_STEPS 100000

int64_t schema_walk_steps(size_t size) {
  size_t most = (STEPS_MAX - STEPS_SHORT) / STEPS_BYTE;
  return size >= most ? STEPS_MAX : STEPS_SHORT + (int64_t)size * STEPS_BYTE;
}

bool schema_walk_is_list(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return false;
  if (lua_getmetatable(L, index)) {
    lua_pop(L, 1);
    JsonMark mark = json_get_mark(L, index);
    if (mark != JSON_UNMARKED) return mark == JSON_ARRAY;
  }
  if (lua_rawlen(L, index) > 0) return true;
  lua_pushnil(L);
  if (!lua_next(L, index)) return true;
  lua_pop(L, 2);
  return false;
}

bool schema_walk_is_object(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return false;
  if (lua_getmetatable(L, index)) {
    lua_pop(L, 1);
    JsonMark mark = json_get_mark(L, index);
    if (mark != JSON_UNMARKED) return mark == JSON_OBJECT;
  }
  return lua_rawlen(L, index) == 0;
}

/* -1, 0 or 1 */
static int compare(lua_State *L, int index, const SchemaBound *bound) {
  if (lua_isinteger(L, index) && bound->is_integer) {
    lua_Integer v = lua_tointeger(L, index);
    return (v > bound->integer) - (v < bound->integer);
  }
  /* A long double holds each of both kinds exactly where this runs. */
  long double v = lua_isinteger(L, index) ? (long double)lua_tointeger(L, index)
                                          : (long double)lua_tonumber(L, index);
  long double b = bound->is_integer ? (long double)bound->integer : (long double)bound->number;
  return (v > b) - (v < b);
}

static bool is_multiple(lua_State *L, int index, const SchemaBound *bound) {
  if (lua_isinteger(L, index) && bound->is_integer)
    return lua_tointeger(L, index) % bound->integer == 0;
  double v = lua_tonumber(L, index), m = bound->number, q = v / m;
  /* Of a part such as 1e-8 every integer is a multiple, however large. */
  if (v == floor(v) && m < 1 && rint(1 / m) * m == 1) return true;
  if (!isfinite(q) || fabs(q) > 9e15) return fmod(v, m) == 0;
  return fabs(q - rint(q)) <= 1e-15 * fabs(q); /* 0.0075 is a multiple of 0.0001 */
}

const char *schema_walk_bound(lua_State *L, const SchemaNode *n, int index,
                              const SchemaBound **bound) {
  if (n->multiple_of.is_set && !is_multiple(L, index, *bound = &n->multiple_of))
    return "multiple_of";
  if (n->max.is_set && compare(L, index, *bound = &n->max) > 0) return "less_than_equal";
  if (n->lt.is_set && compare(L, index, *bound = &n->lt) >= 0) return "less_than";
  if (n->min.is_set && compare(L, index, *bound = &n->min) < 0) return "greater_than_equal";
  if (n->gt.is_set && compare(L, index, *bound = &n->gt) <= 0) return "greater_than";
  return NULL;
}

/* Those of a few texts are free: a pattern may take more steps than there are for a short text. */
static void note_pattern_steps(SchemaWalk *w, int64_t steps) {
  w->pattern_steps += steps;
  if (w->pattern_steps > PATTERN_STEPS) w->steps -= steps;
}

static bool matches_lua(SchemaWalk *w, const SchemaNode *n, const char *s, size_t size) {
  int64_t steps = 0;
  bool matches =
      w->steps > 0 && schema_pattern_lua_matches(n->match, n->match_size, s, size, &steps);
  note_pattern_steps(w, steps);
  return matches;
}

bool schema_walk_matches(SchemaWalk *w, const void *pattern, const char *s, size_t size) {
  int64_t steps = 0;
  bool matches = w->steps > 0 && schema_pattern_matches(pattern, s, size, &steps);
  note_pattern_steps(w, steps);
  return matches;
}

const char *schema_walk_text(SchemaWalk *w, const SchemaNode *n, const char *s, size_t size,
                             const char **detail) {
  if (n->pattern && !schema_walk_matches(w, n->pattern, s, size)) return "string_pattern_mismatch";
  if (n->match && !matches_lua(w, n, s, size)) return "string_pattern_mismatch";
  if (n->format) return schema_format_check(n->format, s, size, detail);
  return NULL;
}

lua_Integer schema_walk_literal(lua_State *L, const SchemaNode *n, int table, int index) {
  lua_rawgeti(L, table, n->list);
  int list = lua_gettop(L);
  lua_Integer found = 0;
  for (lua_Integer i = 1; i <= (lua_Integer)n->count && !found; i++) {
    lua_rawgeti(L, list, i);
    if (schema_equal(L, index, list + 1)) found = i;
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
  return found;
}

void schema_walk_default(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) {
    lua_pushvalue(L, index);
    return;
  }
  luaL_checkstack(L, 6, "a default that is nested too deeply");
  index = lua_absindex(L, index);
  lua_newtable(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pushvalue(L, -2);
    schema_walk_default(L, copy + 2);
    lua_rawset(L, copy);
    lua_pop(L, 1);
  }
  if (lua_getmetatable(L, index)) lua_setmetatable(L, copy);
}

/* Pushes the value at `index` if it is to be built. */
static inline bool keep(SchemaWalk *w, int index) {
  if (w->build) lua_pushvalue(w->L, index);
  return true;
}

static const char *type_error(const SchemaNode *n) {
  if (n->kind == SCHEMA_BYTES) return "bytes_type";
  switch (n->format) {
  case SCHEMA_FORMAT_DATETIME:
    return "datetime_type";
  case SCHEMA_FORMAT_DATE:
    return "date_type";
  case SCHEMA_FORMAT_TIME:
    return "time_type";
  case SCHEMA_FORMAT_DURATION:
    return "time_delta_type";
  case SCHEMA_FORMAT_URL:
    return "url_type";
  case SCHEMA_FORMAT_UUID:
    return "uuid_type";
  default:
    return "string_type";
  }
}

static bool walk_string(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  if (w->output && n->format == SCHEMA_FORMAT_DATETIME && lua_type(L, index) == LUA_TNUMBER)
    return keep(w, index);
  if (lua_type(L, index) != LUA_TSTRING)
    return schema_error_add(w, n, index, up, type_error(n), NULL);
  size_t size;
  const char *s = lua_tolstring(L, index, &size), *detail = NULL;
  bool is_bytes = n->kind == SCHEMA_BYTES;
  if (is_bytes ? size < n->size_min || size > n->size_max : !schema_node_size_fits(n, s, size)) {
    size_t count = is_bytes ? size : schema_node_characters(s, size);
    return schema_error_size(w, n, index, up,
                             count < n->size_min
                                 ? (is_bytes ? "bytes_too_short" : "string_too_short")
                                 : (is_bytes ? "bytes_too_long" : "string_too_long"),
                             NULL, count);
  }
  const char *fault = schema_walk_text(w, n, s, size, &detail);
  if (fault) return schema_error_add(w, n, index, up, fault, detail);
  if (n->is_unix && w->build)
    lua_pushnumber(L, schema_format_unix(s, size));
  else
    keep(w, index);
  return true;
}

static bool check_bounds(SchemaWalk *w, const SchemaNode *n, int number, int input,
                         const SchemaStep *up) {
  const SchemaBound *bound;
  const char *fault = n->has_bounds ? schema_walk_bound(w->L, n, number, &bound) : NULL;
  return !fault || schema_error_bound(w, n, input, up, fault, bound);
}

static bool walk_number(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  bool is_int = n->kind == SCHEMA_INT, is_number = lua_type(L, index) == LUA_TNUMBER;
  const char *fault = NULL;
  if (!is_number && w->mode == SCHEMA_STRICT)
    fault = is_int ? "int_type" : "float_type";
  else
    fault = is_int ? schema_lax_integer(L, index) : schema_lax_number(L, index);
  if (fault) return schema_error_add(w, n, index, up, fault, NULL);
  int number = lua_gettop(L);
  bool ok = check_bounds(w, n, number, index, up);
  if (!ok || !w->build) lua_settop(L, number - 1);
  return ok;
}

/* Is it a decimal number, with an exponent or without? */
static bool is_decimal(const char *s, size_t size) {
  const char *end = s + size;
  if (s < end && (*s == '-' || *s == '+')) s++;
  size_t digits = 0;
  for (; s < end && *s >= '0' && *s <= '9'; s++) digits++;
  if (s < end && *s == '.')
    for (s++; s < end && *s >= '0' && *s <= '9'; s++) digits++;
  if (!digits || digits > 1000) return false;
  if (s < end && (*s | 0x20) == 'e') {
    s++;
    if (s < end && (*s == '-' || *s == '+')) s++;
    const char *first = s;
    while (s < end && *s >= '0' && *s <= '9') s++;
    if (s == first || s - first > 4) return false;
  }
  return s == end;
}

static bool walk_decimal(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    return schema_error_add(w, n, index, up, "decimal_type", NULL);
  lua_pushvalue(L, index); /* becomes text here, not where it lies */
  int copy = lua_gettop(L);
  bool finite = type == LUA_TSTRING || isfinite(lua_tonumber(L, copy));
  size_t size;
  const char *s;
  if (type == LUA_TNUMBER && !lua_isinteger(L, copy) && finite) {
    Buffer out = {0};
    JsonError error;
    if (!json_encode(L, copy, &out, 0, &error)) luaL_error(L, "%s", error.message);
    lua_pushlstring(L, out.data, out.len);
    buffer_free(&out);
    lua_replace(L, copy);
  }
  s = lua_tolstring(L, copy, &size);
  bool ok = finite && is_decimal(s, size);
  if (!ok) {
    schema_error_add(w, n, index, up, finite ? "decimal_parsing" : "finite_number", NULL);
  } else if (n->has_bounds) {
    if (!lua_stringtonumber(L, *s == '+' ? s + 1 : s)) lua_pushnumber(L, 0);
    ok = check_bounds(w, n, copy + 1, index, up);
    lua_settop(L, copy);
  }
  if (!ok || !w->build) lua_settop(L, copy - 1);
  return ok;
}

static bool walk_bool(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  if (lua_type(w->L, index) == LUA_TBOOLEAN) return keep(w, index);
  const char *fault = "bool_type";
  if (w->mode != SCHEMA_STRICT) fault = schema_lax_boolean(w->L, index);
  if (fault) return schema_error_add(w, n, index, up, fault, NULL);
  if (!w->build) lua_pop(w->L, 1);
  return true;
}

static bool walk_literal(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  lua_Integer i = schema_walk_literal(L, n, w->table, index);
  if (!i && w->mode == SCHEMA_TEXT && lua_type(L, index) == LUA_TSTRING) {
    /* A number among the literals can only come as text. */
    if (!schema_lax_number(L, index)) {
      i = schema_walk_literal(L, n, w->table, lua_gettop(L));
      lua_pop(L, 1);
    }
  }
  if (!i) return schema_error_add(w, n, index, up, "literal_error", NULL);
  if (w->build) {
    lua_rawgeti(L, w->table, n->list);
    lua_rawgeti(L, -1, i);
    lua_remove(L, -2);
    if (lua_type(L, -1) == LUA_TTABLE) {
      schema_walk_default(L, -1);
      lua_remove(L, -2);
    }
  }
  return true;
}

/* Checks item i of the list at `index` and puts it into the new list, if one is built. */
static bool walk_item(SchemaWalk *w, const SchemaNode *item, int index, lua_Integer i,
                      const SchemaStep *up) {
  lua_State *L = w->L;
  int top = lua_gettop(L); /* the new list */
  SchemaStep step = {.up = up, .index = i - 1};
  lua_rawgeti(L, index, i);
  bool ok = schema_walk_value(w, item, top + 1, &step);
  if (ok && w->build) lua_rawseti(L, top, i);
  lua_settop(L, top);
  return ok;
}

bool schema_walk_begin_list(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                            lua_Integer *count) {
  lua_State *L = w->L;
  bool is_tuple = n->kind == SCHEMA_TUPLE;
  bool is_list = schema_walk_is_list(L, index);
  if (is_list && w->is_json && lua_rawlen(L, index) == 0)
    is_list = json_get_mark(L, index) == JSON_ARRAY;
  if (!is_list)
    return schema_error_add(w, n, index, up, is_tuple ? "tuple_type" : "list_type", NULL);
  *count = (lua_Integer)lua_rawlen(L, index);
  if (*count > (lua_Integer)n->size_max && !is_tuple)
    return schema_error_size(w, n, index, up, "too_long", "List", (size_t)*count);
  if (w->build)
    lua_createtable(L, (int)(*count < 1 << 20 ? *count : 1 << 20), 0);
  else
    lua_pushnil(L);
  return true;
}

bool schema_walk_end_list(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                          lua_Integer count, bool ok) {
  lua_State *L = w->L;
  int list = lua_gettop(L);
  if (ok && count < (lua_Integer)n->size_min && n->kind == SCHEMA_LIST)
    ok = schema_error_size(w, n, index, up, "too_short", "List", (size_t)count);
  if (ok && n->is_unique && schema_equal_has_twins(L, index, count, &w->steps))
    ok = schema_error_add(w, n, index, up, "unique_items", NULL);
  bool keeps = ok && w->build;
  lua_settop(L, keeps ? list : list - 1);
  if (keeps) json_set_mark(L, list, JSON_ARRAY);
  return ok;
}

static bool walk_list(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  int top = lua_gettop(L);
  if (w->mode == SCHEMA_TEXT && lua_type(L, index) == LUA_TSTRING) { /* the only one of its name */
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    index = lua_gettop(L);
  }
  bool is_tuple = n->kind == SCHEMA_TUPLE, ok = true;
  lua_Integer count;
  if (!schema_walk_begin_list(w, n, index, up, &count)) {
    lua_settop(L, top);
    return false;
  }
  lua_Integer wanted = is_tuple ? (lua_Integer)n->count : count;
  for (lua_Integer i = 1; i <= wanted && w->steps > 0; i++) {
    if (is_tuple && i > count) {
      SchemaStep step = {.up = up, .index = i - 1};
      ok = schema_error_add(w, n, index, &step, "missing", NULL);
    } else if (!walk_item(w, is_tuple ? n->nodes[i - 1] : n->item, index, i, up)) {
      ok = false;
      if (!w->errors || w->count >= SCHEMA_ERRORS_MAX) break;
    }
  }
  if (is_tuple && count > wanted) {
    SchemaNode limits = {.kind = SCHEMA_TUPLE, .size_max = n->count, .is_secret = n->is_secret};
    ok = schema_error_size(w, &limits, index, up, "too_long", "Tuple", (size_t)count);
  }
  ok = schema_walk_end_list(w, n, index, up, count, ok);
  if (!ok || !w->build)
    lua_settop(L, top);
  else if (lua_gettop(L) > top + 1)
    lua_replace(L, top + 1);
  return ok;
}

static bool object_error(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  return schema_error_add(w, n, index, up,
                          n->kind == SCHEMA_MAP ? "dict_type" : "model_attributes_type", NULL);
}

bool schema_walk_begin_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  lua_State *L = w->L;
  bool is_map = n->kind == SCHEMA_MAP;
  if (!schema_walk_is_object(L, index)) return object_error(w, n, index, up);
  if (!is_map) lua_rawgeti(L, w->table, n->list);
  if (w->build)
    lua_createtable(L, 0, is_map ? 0 : (int)n->count);
  else
    lua_pushnil(L);
  return true;
}

bool schema_walk_end_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                            int made, size_t count, bool ok) {
  lua_State *L = w->L;
  bool is_map = n->kind == SCHEMA_MAP;
  if (is_map && ok && count < n->size_min)
    ok = schema_error_size(w, n, index, up, "too_short", "Dictionary", count);
  if (is_map && ok && count > n->size_max)
    ok = schema_error_size(w, n, index, up, "too_long", "Dictionary", count);
  lua_settop(L, ok && w->build ? made : made - 1);
  if (!is_map) lua_remove(L, made - 1); /* the list of keys */
  return ok;
}

SchemaPart schema_walk_next_member(SchemaWalk *w, const SchemaNode *n, int index,
                                   const SchemaStep *up, size_t *count, SchemaStep *step) {
  lua_State *L = w->L;
  bool is_map = n->kind == SCHEMA_MAP;
  int key = lua_gettop(L);
  if (!lua_next(L, index)) {
    lua_pushnil(L);
    return SCHEMA_NO_MORE;
  }
  if (lua_type(L, key) != LUA_TSTRING) {
    object_error(w, n, index, up);
    return SCHEMA_WRONG;
  }
  *step = (SchemaStep){.up = up};
  step->key = lua_tolstring(L, key, &step->size);
  ++*count;
  if (!is_map && schema_node_find(n, step->key, step->size) >= 0) return SCHEMA_FINE;
  if (is_map || n->extra != SCHEMA_FORBID) return SCHEMA_TO_WALK;
  schema_error_add(w, n, key + 1, step, "extra_forbidden", NULL);
  return SCHEMA_WRONG;
}

void schema_walk_keep_member(lua_State *L, int made) {
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_rawset(L, made);
}

/* Checks the members that the object does not list, or all of a map. Their table is at `made`. */
static bool walk_others(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                        int made, size_t *count) {
  lua_State *L = w->L;
  bool ok = true;
  lua_pushnil(L);
  int key = lua_gettop(L);
  SchemaStep step;
  SchemaPart part;
  while ((part = schema_walk_next_member(w, n, index, up, count, &step)) != SCHEMA_NO_MORE) {
    bool fits = part == SCHEMA_FINE;
    if (part == SCHEMA_TO_WALK) {
      fits = schema_walk_value(w, n->item, key + 1, &step);
      if (fits && w->build) schema_walk_keep_member(L, made);
    }
    if (!fits) {
      ok = false;
      if (!w->errors || w->count >= SCHEMA_ERRORS_MAX || lua_type(L, key) != LUA_TSTRING) break;
    }
    lua_settop(L, key);
  }
  lua_settop(L, key - 1);
  return ok;
}

static bool walk_map(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  if (!schema_walk_begin_object(w, n, index, up)) return false;
  int made = lua_gettop(w->L);
  size_t count = 0;
  bool ok = walk_others(w, n, index, up, made, &count);
  return schema_walk_end_object(w, n, index, up, made, count, ok);
}

SchemaPart schema_walk_begin_field(SchemaWalk *w, const SchemaNode *n, uint32_t i, int index,
                                   int keys, const SchemaStep *up, SchemaStep *step) {
  lua_State *L = w->L;
  const SchemaField *field = &n->fields[i];
  *step = (SchemaStep){.up = up, .key = field->key, .size = field->size};
  int key = keys + 2, made = keys + 1;
  lua_rawgeti(L, keys, (lua_Integer)i + 1);
  lua_pushvalue(L, key);
  if (lua_rawget(L, index) != LUA_TNIL) return SCHEMA_TO_WALK;
  if (field->has_default) {
    if (w->build) {
      lua_rawgeti(L, keys, (lua_Integer)(n->count + i) + 1);
      schema_walk_default(L, -1);
      lua_replace(L, key + 1);
      lua_settop(L, key + 1);
      lua_rawset(L, made);
    }
  } else if (field->is_required && !(w->output && (field->node->is_nullable || field->is_hidden))) {
    schema_error_add(w, n, index, step, "missing", NULL);
    return SCHEMA_WRONG;
  }
  return SCHEMA_FINE;
}

/* Checks field i, whose key is in the list of keys at `keys`. */
static bool walk_field(SchemaWalk *w, const SchemaNode *n, uint32_t i, int index, int keys,
                       const SchemaStep *up) {
  lua_State *L = w->L;
  SchemaStep step;
  int made = keys + 1, value = keys + 3;
  SchemaPart part = schema_walk_begin_field(w, n, i, index, keys, up, &step);
  bool ok = part != SCHEMA_WRONG;
  if (part == SCHEMA_TO_WALK) {
    ok = schema_walk_value(w, n->fields[i].node, value, &step);
    if (ok && w->build) schema_walk_keep_member(L, made);
  }
  lua_settop(L, made);
  return ok;
}

static bool walk_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  if (!schema_walk_begin_object(w, n, index, up)) return false;
  int made = lua_gettop(w->L);
  bool ok = true;
  for (uint32_t i = 0; i < n->count; i++) {
    if (walk_field(w, n, i, index, made - 1, up)) continue;
    ok = false;
    if (!w->errors || w->count >= SCHEMA_ERRORS_MAX) break;
  }
  size_t count = 0;
  if (n->extra != SCHEMA_IGNORE && (ok || w->errors) && !walk_others(w, n, index, up, made, &count))
    ok = false;
  return schema_walk_end_object(w, n, index, up, made, count, ok);
}

/* Tries each branch; with `labels` their errors stay, each with the branch's name in its location.
 */
static bool try_branches(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  bool build = w->build;
  int count = w->count, top = lua_gettop(w->L);
  for (uint32_t i = 0; i < n->count && w->steps > 0; i++) {
    const SchemaNode *branch = n->nodes[i];
    SchemaStep step = {.up = up, .key = branch->label, .size = 0};
    while (step.key[step.size]) step.size++;
    w->build = build;
    if (schema_walk_value(w, branch, index, w->errors ? &step : up)) {
      if (w->errors) schema_error_forget(w, count);
      return true;
    }
    lua_settop(w->L, top);
  }
  w->build = false;
  return false;
}

/* Without errors first: most values fit a branch, and errors cost more. What fits strictly wins
   over what fits by coercion. */
static bool walk_union(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  if (w->reporting) return try_branches(w, n, index, up);
  int errors = w->errors;
  bool build = w->build;
  SchemaMode mode = w->mode;
  w->errors = 0;
  bool ok = false;
  if (mode == SCHEMA_LAX) {
    w->mode = SCHEMA_STRICT;
    ok = try_branches(w, n, index, up);
    w->mode = mode;
    w->build = build;
  }
  if (!ok) ok = try_branches(w, n, index, up);
  w->errors = errors;
  if (ok || !errors) return ok;
  w->build = build;
  w->reporting = true;
  ok = try_branches(w, n, index, up);
  w->reporting = false;
  return ok;
}

const SchemaNode *schema_walk_tagged(SchemaWalk *w, const SchemaNode *n, int index,
                                     const SchemaStep *up, SchemaStep *step) {
  lua_State *L = w->L;
  const char *fault = NULL;
  if (!schema_walk_is_object(L, index)) {
    schema_error_add(w, n, index, up, "model_attributes_type", NULL);
    return NULL;
  }
  lua_pushlstring(L, n->tag, n->tag_size);
  int type = lua_rawget(L, index);
  size_t size = 0;
  const char *tag = type == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  int i = tag ? schema_node_find(n, tag, size) : -1;
  lua_pop(L, 1); /* it stays in the value */
  if (type == LUA_TNIL)
    fault = "union_tag_not_found";
  else if (i < 0)
    fault = "union_tag_invalid";
  if (fault) {
    schema_error_add(w, n, index, up, fault, NULL);
    return NULL;
  }
  *step = (SchemaStep){.up = up, .key = n->fields[i].key, .size = n->fields[i].size};
  return n->fields[i].node;
}

static bool walk_tagged(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  SchemaStep step;
  const SchemaNode *node = schema_walk_tagged(w, n, index, up, &step);
  return node && schema_walk_value(w, node, index, &step);
}

static bool walk_kind(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  switch ((SchemaKind)n->kind) {
  case SCHEMA_STRING:
  case SCHEMA_BYTES:
    return walk_string(w, n, index, up);
  case SCHEMA_INT:
  case SCHEMA_NUMBER:
    return walk_number(w, n, index, up);
  case SCHEMA_BOOL:
    return walk_bool(w, n, index, up);
  case SCHEMA_DECIMAL:
    return walk_decimal(w, n, index, up);
  case SCHEMA_LITERAL:
    return walk_literal(w, n, index, up);
  case SCHEMA_LIST:
  case SCHEMA_TUPLE:
    return walk_list(w, n, index, up);
  case SCHEMA_MAP:
    return walk_map(w, n, index, up);
  case SCHEMA_OBJECT:
    return walk_object(w, n, index, up);
  case SCHEMA_UNION:
    return walk_union(w, n, index, up);
  case SCHEMA_TAGGED:
    return walk_tagged(w, n, index, up);
  case SCHEMA_REF:
    return schema_walk_value(w, n->item, index, up);
  case SCHEMA_RULES:
    return schema_rules_check(w, n, index, up) && keep(w, index);
  case SCHEMA_ANY:
    break;
  }
  return keep(w, index);
}

bool schema_walk_value(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  if (n->is_nullable && json_is_null(w->L, index)) return keep(w, index);
  SchemaMode mode = w->mode;
  if (!schema_walk_enter(w, n)) return false;
  bool ok = walk_kind(w, n, index, up);
  schema_walk_leave(w, mode);
  return ok;
}

bool schema_walk_enter(SchemaWalk *w, const SchemaNode *n) {
  if (--w->steps <= 0 || w->depth >= SCHEMA_WALK_DEPTH || !lua_checkstack(w->L, 16)) {
    w->steps = 0; /* nothing else is true then, not even the contrary */
    return false;
  }
  if (n->is_lax && w->mode == SCHEMA_STRICT) w->mode = SCHEMA_LAX;
  w->depth++;
  return true;
}

void schema_walk_leave(SchemaWalk *w, SchemaMode mode) {
  w->depth--;
  w->mode = mode;
}

SchemaWalk schema_walk_begin(lua_State *L, int table, SchemaMode mode, bool is_json,
                             int64_t steps) {
  luaL_checkstack(L, 24, NULL);
  lua_newtable(L);
  return (SchemaWalk){.L = L,
                      .table = table,
                      .errors = lua_gettop(L),
                      .mode = mode,
                      .build = true,
                      .is_json = is_json,
                      .steps = steps};
}

bool schema_walk_end(SchemaWalk *w, const SchemaNode *n, int index, bool ok) {
  lua_State *L = w->L;
  if (w->steps <= 0) {
    ok = false;
    lua_settop(L, w->errors);
    if (w->count >= SCHEMA_ERRORS_MAX) w->count--;
    schema_error_add(w, n, index, NULL, "recursion_loop", NULL);
  }
  if (ok) lua_replace(L, w->errors);
  lua_settop(L, w->errors);
  return ok;
}

bool schema_walk_within(lua_State *L, const SchemaNode *n, int table, int index, SchemaMode mode,
                        bool is_json, int64_t steps) {
  index = lua_absindex(L, index);
  SchemaWalk w = schema_walk_begin(L, lua_absindex(L, table), mode, is_json, steps);
  bool ok = schema_walk_value(&w, n, index, NULL);
  return schema_walk_end(&w, n, index, ok);
}

bool schema_walk(lua_State *L, const SchemaNode *n, int table, int index, SchemaMode mode,
                 bool is_json) {
  return schema_walk_within(L, n, table, index, mode, is_json, STEPS_MAX);
}
