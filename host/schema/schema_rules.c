#include "schema/schema_rules.h"

#include "schema/schema_equal.h"
#include "schema/schema_error.h"
#include "schema/schema_pattern.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static unsigned type_of(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TLIGHTUSERDATA:
    return json_is_null(L, index) ? SCHEMA_TYPE_NULL : 0;
  case LUA_TBOOLEAN:
    return SCHEMA_TYPE_BOOLEAN;
  case LUA_TSTRING:
    return SCHEMA_TYPE_STRING;
  case LUA_TNUMBER: {
    lua_Number d = lua_tonumber(L, index);
    return lua_isinteger(L, index) || d == floor(d) ? SCHEMA_TYPE_NUMBER | SCHEMA_TYPE_INTEGER
                                                    : SCHEMA_TYPE_NUMBER;
  }
  case LUA_TTABLE:
    /* An empty table without a mark is an object, as ml.json.encode has it. */
    if (json_get_mark(L, index) == JSON_ARRAY || lua_rawlen(L, index) > 0) return SCHEMA_TYPE_ARRAY;
    return SCHEMA_TYPE_OBJECT;
  default:
    return 0;
  }
}

static bool fail(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                 const char *message) {
  return schema_error_text(w, n, index, up, "json_schema", message);
}

/* Would the value fit? Errors are not wanted. */
static bool fits(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  int errors = w->errors;
  w->errors = 0;
  bool ok = schema_walk_value(w, n, index, up);
  w->errors = errors;
  return ok;
}

static bool check_branches(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  const SchemaRules *r = n->rules;
  bool ok = true;
  for (uint32_t i = 0; i < r->all_of.count; i++)
    if (!schema_walk_value(w, r->all_of.list[i], index, up)) ok = false;
  if (r->any_of.count) {
    uint32_t i = 0;
    while (i < r->any_of.count && !fits(w, r->any_of.list[i], index, up)) i++;
    if (i == r->any_of.count)
      ok = fail(w, n, index, up, "Input should match at least one of the schemas of anyOf");
  }
  if (r->one_of.count) {
    int matches = 0;
    for (uint32_t i = 0; i < r->one_of.count; i++) matches += fits(w, r->one_of.list[i], index, up);
    if (matches != 1)
      ok = fail(w, n, index, up,
                matches ? "Input should match only one of the schemas of oneOf"
                        : "Input should match one of the schemas of oneOf");
  }
  if (r->negated && fits(w, r->negated, index, up))
    ok = fail(w, n, index, up, "Input should not match the schema of not");
  if (r->condition) {
    const SchemaNode *next = fits(w, r->condition, index, up) ? r->then : r->otherwise;
    if (next && !schema_walk_value(w, next, index, up)) ok = false;
  }
  return ok;
}

static bool check_size(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                       const SchemaSizes *sizes, size_t count, const char *what) {
  double v = (double)count;
  if (v >= sizes->min && v <= sizes->max) return true;
  bool is_short = v < sizes->min;
  char text[128];
  double limit = is_short ? sizes->min : sizes->max;
  snprintf(text, sizeof text, "Input should have at %s %.0f %s, not %zu",
           is_short ? "least" : "most", limit, what, count);
  return schema_error_text(w, n, index, up, is_short ? "too_short" : "too_long", text);
}

static bool check_string(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  size_t size;
  const char *s = lua_tolstring(w->L, index, &size), *detail = NULL;
  const SchemaSizes *sizes = &n->rules->length;
  bool ok = true;
  if (sizes->min > 0 || (double)size > sizes->max)
    ok = check_size(w, n, index, up, sizes, schema_node_characters(s, size), "characters");
  const char *fault = schema_walk_text(w, n, s, size, &detail);
  if (fault) ok = schema_error_add(w, n, index, up, fault, detail);
  return ok;
}

static bool check_array(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  const SchemaRules *r = n->rules;
  lua_State *L = w->L;
  lua_Integer count = (lua_Integer)lua_rawlen(L, index), contained = 0;
  bool ok = check_size(w, n, index, up, &r->item_count, (size_t)count, "items");
  bool each = r->prefix.count || r->items || r->contains;
  for (lua_Integer i = 1; each && i <= count && w->steps > 0; i++) {
    SchemaStep step = {.up = up, .index = i - 1};
    lua_rawgeti(L, index, i);
    int item = lua_gettop(L);
    const SchemaNode *node = i <= (lua_Integer)r->prefix.count ? r->prefix.list[i - 1] : r->items;
    if (node && !schema_walk_value(w, node, item, &step)) ok = false;
    if (r->contains && fits(w, r->contains, item, &step)) contained++;
    lua_settop(L, item - 1);
  }
  if (r->contains && ((double)contained < r->contained.min || (double)contained > r->contained.max))
    ok = fail(w, n, index, up, "Input should contain other numbers of items that match contains");
  if (n->is_unique && schema_equal_has_twins(L, index, count, &w->steps))
    ok = schema_error_add(w, n, index, up, "unique_items", NULL);
  return ok;
}

static bool has_key(lua_State *L, int index, const SchemaKey *key) {
  lua_pushlstring(L, key->key, key->size);
  bool has = lua_rawget(L, index) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

static bool check_presence(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                           const SchemaKey *keys, uint32_t count) {
  bool ok = true;
  for (uint32_t i = 0; i < count; i++) {
    if (has_key(w->L, index, &keys[i])) continue;
    SchemaStep step = {.up = up, .key = keys[i].key, .size = keys[i].size};
    ok = schema_error_add(w, n, index, &step, "missing", NULL);
  }
  return ok;
}

/* The member whose key and value are on the top of L. */
static bool check_member(SchemaWalk *w, const SchemaNode *n, const SchemaStep *up) {
  const SchemaRules *r = n->rules;
  lua_State *L = w->L;
  int value = lua_gettop(L), name = value - 1;
  size_t size;
  const char *key = lua_tolstring(L, name, &size);
  SchemaStep step = {.up = up, .key = key, .size = size};
  bool ok = true, known = false;
  int field = n->count ? schema_node_find(n, key, size) : -1;
  if (field >= 0) {
    known = true;
    if (!schema_walk_value(w, n->fields[field].node, value, &step)) ok = false;
  }
  for (uint32_t i = 0; i < r->pattern_count; i++) {
    if (!schema_walk_matches(w, r->patterns[i].pattern, key, size)) continue;
    known = true;
    if (!schema_walk_value(w, r->patterns[i].node, value, &step)) ok = false;
  }
  if (!known && r->additional && !schema_walk_value(w, r->additional, value, &step)) ok = false;
  if (r->names && !schema_walk_value(w, r->names, name, &step)) ok = false;
  return ok;
}

static bool check_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  const SchemaRules *r = n->rules;
  lua_State *L = w->L;
  int top = lua_gettop(L);
  size_t count = 0;
  bool ok = true;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      ok = fail(w, n, index, up, "Input should be an object whose keys are strings");
    else if (!check_member(w, n, up))
      ok = false;
    count++;
    lua_settop(L, top + 1);
  }
  if (!check_size(w, n, index, up, &r->members, count, "members")) ok = false;
  if (!check_presence(w, n, index, up, r->required, r->required_count)) ok = false;
  for (uint32_t i = 0; i < r->dependent_count; i++) {
    const SchemaDependent *d = &r->dependents[i];
    if (!has_key(L, index, &d->key)) continue;
    if (!check_presence(w, n, index, up, d->others, d->count)) ok = false;
    if (d->node && !schema_walk_value(w, d->node, index, up)) ok = false;
  }
  return ok;
}

static bool check(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  const SchemaRules *r = n->rules;
  lua_State *L = w->L;
  if (r->never) return fail(w, n, index, up, "No input is allowed here");
  unsigned type = type_of(L, index);
  if (!type) return fail(w, n, index, up, "Input should be a value that JSON has");
  if (r->types && !(r->types & type)) {
    char text[160];
    snprintf(text, sizeof text, "Input should be of type %s", r->type_names);
    return fail(w, n, index, up, text);
  }
  bool ok = check_branches(w, n, index, up);
  if (r->literals) {
    lua_rawgeti(L, w->table, r->literals);
    int list = lua_gettop(L);
    bool found = false;
    for (uint32_t i = 1; i <= r->literal_count && !found; i++) {
      lua_rawgeti(L, list, i);
      found = schema_equal(L, index, list + 1);
      lua_settop(L, list);
    }
    lua_settop(L, list - 1);
    if (!found) ok = schema_error_add(w, n, index, up, "literal_error", NULL);
  }
  if (type & SCHEMA_TYPE_NUMBER && n->has_bounds) {
    const SchemaBound *bound;
    const char *fault = schema_walk_bound(L, n, index, &bound);
    if (fault) ok = schema_error_bound(w, n, index, up, fault, bound);
  }
  if (type == SCHEMA_TYPE_STRING && !check_string(w, n, index, up)) ok = false;
  if (type == SCHEMA_TYPE_ARRAY && !check_array(w, n, index, up)) ok = false;
  if (type == SCHEMA_TYPE_OBJECT && !check_object(w, n, index, up)) ok = false;
  return ok;
}

bool schema_rules_check(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up) {
  bool build = w->build;
  int top = lua_gettop(w->L);
  if (!lua_checkstack(w->L, 12)) return schema_error_add(w, n, index, up, "recursion_loop", NULL);
  w->build = false;
  bool ok = check(w, n, index, up);
  lua_settop(w->L, top);
  if (ok) w->build = build;
  return ok;
}
