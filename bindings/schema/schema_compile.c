#include "bindings/schema/schema_compile.h"

#include "base/buffer.h"
#include "schema/schema_format.h"
#include "schema/schema_pattern.h"
#include "json/json.h"

#include <lauxlib.h>
#include <string.h>

void *schema_compile_alloc(SchemaCompiler *c, size_t count, size_t size) {
  void *memory = lua_newuserdatauv(c->L, count > 0 ? count * size : 1, 0);
  memset(memory, 0, count * size);
  luaL_ref(c->L, c->anchors);
  return memory;
}

const char *schema_compile_text(SchemaCompiler *c, const char *field, size_t *size) {
  lua_getfield(c->L, -1, field);
  const char *text = lua_tolstring(c->L, -1, size);
  lua_pop(c->L, 1); /* the description keeps it */
  return text;
}

static bool get_flag(SchemaCompiler *c, const char *field) {
  lua_getfield(c->L, -1, field);
  bool is = lua_toboolean(c->L, -1);
  lua_pop(c->L, 1);
  return is;
}

static const SchemaNode *node_at(SchemaCompiler *c, lua_Integer i) {
  if (i < 1 || i > c->program->count) luaL_error(c->L, "a schema refers to nothing");
  return &c->program->nodes[i - 1];
}

const SchemaNode *schema_compile_node(SchemaCompiler *c, const char *field) {
  lua_getfield(c->L, -1, field);
  const SchemaNode *node = lua_isnil(c->L, -1) ? NULL : node_at(c, lua_tointeger(c->L, -1));
  lua_pop(c->L, 1);
  return node;
}

const SchemaNode **schema_compile_nodes(SchemaCompiler *c, const char *field, uint32_t *count) {
  lua_State *L = c->L;
  const SchemaNode **list = NULL;
  *count = 0;
  if (lua_getfield(L, -1, field) == LUA_TTABLE) {
    *count = (uint32_t)lua_rawlen(L, -1);
    list = schema_compile_alloc(c, *count, sizeof *list);
    for (uint32_t i = 0; i < *count; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      list[i] = node_at(c, lua_tointeger(L, -1));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return list;
}

const void *schema_compile_pattern(SchemaCompiler *c, const char *text, size_t size) {
  char error[200];
  SchemaProgram *program = c->program;
  void *pattern = schema_pattern_new(text, size, error, sizeof error);
  if (!pattern) luaL_error(c->L, "pattern '%s': %s", text, error);
  /* There is room for each: the Lua part has counted them. */
  program->patterns[program->pattern_count++] = pattern;
  return pattern;
}

int schema_compile_list(SchemaCompiler *c, const char *field, uint32_t *count) {
  lua_State *L = c->L;
  if (lua_getfield(L, -1, field) != LUA_TTABLE) {
    lua_pop(L, 1);
    return 0;
  }
  *count = (uint32_t)lua_rawlen(L, -1);
  int index = (int)lua_rawlen(L, c->lists) + 1;
  lua_rawseti(L, c->lists, index);
  return index;
}

static void read_bound(SchemaCompiler *c, const char *field, SchemaNode *n, SchemaBound *bound) {
  lua_State *L = c->L;
  if (lua_getfield(L, -1, field) == LUA_TNUMBER) {
    bound->is_set = n->has_bounds = true;
    bound->is_integer = lua_isinteger(L, -1);
    if (bound->is_integer) bound->integer = lua_tointeger(L, -1);
    bound->number = lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
}

static uint32_t read_size(SchemaCompiler *c, const char *field, uint32_t otherwise) {
  lua_State *L = c->L;
  uint32_t size = otherwise;
  if (lua_getfield(L, -1, field) == LUA_TNUMBER) {
    lua_Number v = lua_tonumber(L, -1);
    size = v < 0 ? 0 : v >= UINT32_MAX ? UINT32_MAX : (uint32_t)v;
  }
  lua_pop(L, 1);
  return size;
}

static void make_hash(SchemaCompiler *c, SchemaNode *n) {
  uint32_t places = 8;
  while (places < n->count * 2) places *= 2;
  n->hash_mask = places - 1;
  n->hash = schema_compile_alloc(c, places, sizeof *n->hash);
  schema_node_hash(n);
}

/* The key as JSON with its colon. */
static void write_key(SchemaCompiler *c, SchemaField *field) {
  lua_State *L = c->L;
  Buffer text = {0};
  JsonError error;
  lua_pushlstring(L, field->key, field->size);
  bool ok = json_encode(L, -1, &text, 0, &error) && buffer_add_char(&text, ':');
  lua_pop(L, 1);
  if (ok) {
    char *json = schema_compile_alloc(c, text.len, 1);
    memcpy(json, text.data, text.len);
    field->json = json;
    field->json_size = (uint32_t)text.len;
  }
  buffer_free(&text);
  if (!ok) luaL_error(L, "the name of a field is not UTF-8");
}

/* Reads the field {key, number of its node, required =, hidden =, default =} on the top of L into
   field i, and its key and default into the list at `list`. */
static void read_field(SchemaCompiler *c, SchemaNode *n, uint32_t i, int list) {
  lua_State *L = c->L;
  SchemaField *field = &n->fields[i];
  size_t size;
  lua_rawgeti(L, -1, 1);
  field->key = lua_tolstring(L, -1, &size);
  field->size = (uint32_t)size;
  lua_rawseti(L, list, (lua_Integer)i + 1);
  lua_rawgeti(L, -1, 2);
  field->node = node_at(c, lua_tointeger(L, -1));
  lua_pop(L, 1);
  field->is_required = get_flag(c, "required");
  field->is_hidden = get_flag(c, "hidden");
  if (lua_getfield(L, -1, "default") != LUA_TNIL) {
    field->has_default = true;
    lua_rawseti(L, list, (lua_Integer)(n->count + i) + 1);
  } else {
    lua_pop(L, 1);
  }
  write_key(c, field);
}

/* Reads the list of fields, or of tags, in the field of the description on the top of L. */
static void read_fields(SchemaCompiler *c, SchemaNode *n, const char *name) {
  lua_State *L = c->L;
  if (lua_getfield(L, -1, name) == LUA_TTABLE) {
    int fields = lua_gettop(L);
    n->count = (uint32_t)lua_rawlen(L, fields);
    n->fields = schema_compile_alloc(c, n->count, sizeof *n->fields);
    n->after = schema_compile_alloc(c, (size_t)n->count + 1, sizeof *n->after);
    lua_createtable(L, (int)n->count * 2, 0);
    for (uint32_t i = 0; i < n->count; i++) {
      lua_rawgeti(L, fields, (lua_Integer)i + 1);
      read_field(c, n, i, fields + 1);
      lua_pop(L, 1);
    }
    n->list = (int)lua_rawlen(L, c->lists) + 1;
    lua_rawseti(L, c->lists, n->list);
    make_hash(c, n);
  }
  lua_pop(L, 1);
}

/* Where all literals are strings they are found as fields are. */
static void read_literals(SchemaCompiler *c, SchemaNode *n) {
  lua_State *L = c->L;
  n->list = schema_compile_list(c, "literals", &n->count);
  lua_rawgeti(L, c->lists, n->list);
  SchemaField *fields = schema_compile_alloc(c, n->count, sizeof *fields);
  bool all = n->count <= SCHEMA_FIELDS_MAX;
  for (uint32_t i = 0; i < n->count && all; i++) {
    size_t size;
    if (lua_rawgeti(L, -1, (lua_Integer)i + 1) == LUA_TSTRING) {
      fields[i].key = lua_tolstring(L, -1, &size);
      fields[i].size = (uint32_t)size;
    } else {
      all = false;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (!all) return;
  n->fields = fields;
  make_hash(c, n);
}

static SchemaKind kind_of(SchemaCompiler *c) {
  static const char *const names[] = {
      [SCHEMA_ANY] = "any",         [SCHEMA_STRING] = "string",   [SCHEMA_BYTES] = "bytes",
      [SCHEMA_INT] = "int",         [SCHEMA_NUMBER] = "number",   [SCHEMA_BOOL] = "bool",
      [SCHEMA_DECIMAL] = "decimal", [SCHEMA_LITERAL] = "literal", [SCHEMA_LIST] = "list",
      [SCHEMA_TUPLE] = "tuple",     [SCHEMA_MAP] = "map",         [SCHEMA_OBJECT] = "object",
      [SCHEMA_UNION] = "union",     [SCHEMA_TAGGED] = "tagged",   [SCHEMA_REF] = "ref",
      [SCHEMA_RULES] = "rules"};
  const char *name = schema_compile_text(c, "type", NULL);
  for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return (SchemaKind)i;
  luaL_error(c->L, "there is no type of schema '%s'", name ? name : "nil");
  return SCHEMA_ANY;
}

/* Reads the description on the top of L. */
static void read_node(SchemaCompiler *c, SchemaNode *n) {
  n->kind = kind_of(c);
  n->is_nullable = get_flag(c, "nullable");
  n->is_lax = get_flag(c, "lax");
  n->is_secret = get_flag(c, "secret");
  n->is_unique = get_flag(c, "unique");
  n->is_unix = get_flag(c, "unix");
  read_bound(c, "min", n, &n->min);
  read_bound(c, "max", n, &n->max);
  read_bound(c, "gt", n, &n->gt);
  read_bound(c, "lt", n, &n->lt);
  read_bound(c, "multiple_of", n, &n->multiple_of);
  n->has_few_bounds = !n->gt.is_set && !n->lt.is_set && !n->multiple_of.is_set &&
                      (!n->min.is_set || n->min.is_integer) &&
                      (!n->max.is_set || n->max.is_integer);
  n->size_min = read_size(c, "size_min", 0);
  n->size_max = read_size(c, "size_max", UINT32_MAX);
  n->expected = schema_compile_text(c, "expected", NULL);
  n->label = schema_compile_text(c, "label", NULL);
  if (!n->label) n->label = "";
  n->pattern_text = schema_compile_text(c, "pattern_text", NULL);
  n->match = schema_compile_text(c, "match", &n->match_size);
  size_t size;
  const char *text = schema_compile_text(c, "pattern", &size);
  if (text) n->pattern = schema_compile_pattern(c, text, size);
  text = schema_compile_text(c, "format", NULL);
  if (text) n->format = schema_format_named(text);
  n->item = schema_compile_node(c, "item");
  text = schema_compile_text(c, "extra", NULL);
  n->extra = !text                         ? SCHEMA_IGNORE
             : strcmp(text, "forbid") == 0 ? SCHEMA_FORBID
             : strcmp(text, "schema") == 0 ? SCHEMA_CHECK
                                           : SCHEMA_IGNORE;
  if (n->kind == SCHEMA_TUPLE || n->kind == SCHEMA_UNION)
    n->nodes = schema_compile_nodes(c, "nodes", &n->count);
  if (n->kind == SCHEMA_LITERAL) read_literals(c, n);
  if (n->kind == SCHEMA_OBJECT || n->kind == SCHEMA_TAGGED || n->kind == SCHEMA_RULES)
    read_fields(c, n, "fields");
  n->tag = schema_compile_text(c, "tag", &size);
  if (n->tag) n->tag_size = (uint32_t)size;
  if (n->kind == SCHEMA_RULES) schema_compile_rules(c, n);
}

/* Patterns at most that the descriptions have. */
static size_t count_patterns(lua_State *L) {
  size_t count = 0;
  int top = lua_gettop(L);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 1); i++) {
    lua_rawgeti(L, 1, i);
    count += lua_getfield(L, -1, "pattern") != LUA_TNIL;
    if (lua_getfield(L, -2, "patterns") == LUA_TTABLE) count += lua_rawlen(L, -1);
    lua_settop(L, top);
  }
  return count;
}

void schema_compile(lua_State *L, const char *class) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  SchemaProgram *program = lua_newuserdatauv(L, sizeof *program, 2);
  *program = (SchemaProgram){.count = (int)lua_rawlen(L, 1)};
  luaL_setmetatable(L, class);
  lua_newtable(L);
  lua_newtable(L);
  SchemaCompiler c = {.L = L, .program = program, .lists = 3, .anchors = 4};
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 2, SCHEMA_PROGRAM_TABLE);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 2, 2);
  lua_pushvalue(L, 1);
  luaL_ref(L, 4);
  program->nodes = schema_compile_alloc(&c, (size_t)program->count, sizeof *program->nodes);
  program->patterns = schema_compile_alloc(&c, count_patterns(L), sizeof *program->patterns);
  for (int i = 0; i < program->count; i++) {
    lua_rawgeti(L, 1, i + 1);
    read_node(&c, &program->nodes[i]);
    lua_settop(L, 4);
  }
  lua_settop(L, 2);
}

void schema_compile_free(SchemaProgram *program) {
  for (int i = 0; i < program->pattern_count; i++) schema_pattern_free(program->patterns[i]);
  program->pattern_count = 0;
}
