/* The rules of JSON Schema in descriptions; declared in schema_compile.h. */
#include "bindings/schema/schema_compile.h"

#include "schema/schema_rules.h"

#include <lauxlib.h>
#include <math.h>

/* The key on the top of L, which is popped. */
static SchemaKey take_key(lua_State *L) {
  size_t size;
  SchemaKey key = {.key = lua_tolstring(L, -1, &size)};
  key.size = (uint32_t)size;
  lua_pop(L, 1);
  return key;
}

static SchemaKey *read_keys(SchemaCompiler *c, const char *field, uint32_t *count) {
  lua_State *L = c->L;
  SchemaKey *keys = NULL;
  if (lua_getfield(L, -1, field) == LUA_TTABLE) {
    *count = (uint32_t)lua_rawlen(L, -1);
    keys = schema_compile_alloc(c, *count, sizeof *keys);
    for (uint32_t i = 0; i < *count; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      keys[i] = take_key(L);
    }
  }
  lua_pop(L, 1);
  return keys;
}

static SchemaSizes read_sizes(SchemaCompiler *c, const char *min, const char *max, double least) {
  lua_State *L = c->L;
  SchemaSizes sizes = {least, HUGE_VAL};
  if (lua_getfield(L, -1, min) == LUA_TNUMBER) sizes.min = lua_tonumber(L, -1);
  if (lua_getfield(L, -2, max) == LUA_TNUMBER) sizes.max = lua_tonumber(L, -1);
  lua_pop(L, 2);
  return sizes;
}

/* Each is {key, others = {key, ...}, node = number}. */
static void read_dependents(SchemaCompiler *c, SchemaRules *r) {
  lua_State *L = c->L;
  if (lua_getfield(L, -1, "dependents") == LUA_TTABLE) {
    r->dependent_count = (uint32_t)lua_rawlen(L, -1);
    r->dependents = schema_compile_alloc(c, r->dependent_count, sizeof *r->dependents);
    for (uint32_t i = 0; i < r->dependent_count; i++) {
      SchemaDependent *d = &r->dependents[i];
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      lua_rawgeti(L, -1, 1);
      d->key = take_key(L);
      d->others = read_keys(c, "others", &d->count);
      d->node = schema_compile_node(c, "node");
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* Each is {pattern = text, node = number}. */
static void read_patterns(SchemaCompiler *c, SchemaRules *r) {
  lua_State *L = c->L;
  if (lua_getfield(L, -1, "patterns") == LUA_TTABLE) {
    r->pattern_count = (uint32_t)lua_rawlen(L, -1);
    r->patterns = schema_compile_alloc(c, r->pattern_count, sizeof *r->patterns);
    for (uint32_t i = 0; i < r->pattern_count; i++) {
      size_t size;
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      const char *text = schema_compile_text(c, "pattern", &size);
      r->patterns[i].pattern = schema_compile_pattern(c, text, size);
      r->patterns[i].node = schema_compile_node(c, "node");
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

void schema_compile_rules(SchemaCompiler *c, SchemaNode *n) {
  lua_State *L = c->L;
  SchemaRules *r = schema_compile_alloc(c, 1, sizeof *r);
  n->rules = r;
  lua_getfield(L, -1, "types");
  r->types = (unsigned)lua_tointeger(L, -1);
  lua_pop(L, 1);
  r->type_names = schema_compile_text(c, "type_names", NULL);
  lua_getfield(L, -1, "never");
  r->never = lua_toboolean(L, -1);
  lua_pop(L, 1);
  r->all_of.list = schema_compile_nodes(c, "all_of", &r->all_of.count);
  r->any_of.list = schema_compile_nodes(c, "any_of", &r->any_of.count);
  r->one_of.list = schema_compile_nodes(c, "one_of", &r->one_of.count);
  r->prefix.list = schema_compile_nodes(c, "prefix", &r->prefix.count);
  r->negated = schema_compile_node(c, "negated");
  r->condition = schema_compile_node(c, "condition");
  r->then = schema_compile_node(c, "then_node");
  r->otherwise = schema_compile_node(c, "otherwise");
  r->items = schema_compile_node(c, "items");
  r->contains = schema_compile_node(c, "contains");
  r->additional = schema_compile_node(c, "additional");
  r->names = schema_compile_node(c, "names");
  r->length = read_sizes(c, "length_min", "length_max", 0);
  r->item_count = read_sizes(c, "items_min", "items_max", 0);
  r->contained = read_sizes(c, "contains_min", "contains_max", 1);
  r->members = read_sizes(c, "members_min", "members_max", 0);
  r->required = read_keys(c, "required", &r->required_count);
  read_dependents(c, r);
  read_patterns(c, r);
  r->literals = schema_compile_list(c, "literals", &r->literal_count);
}
