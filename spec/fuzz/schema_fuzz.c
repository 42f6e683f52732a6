/* Fuzzes reading by schemas: the first bytes make a schema, the rest is the text. What is decoded
   by the schema, strictly or laxly, or is wrong with it, is what a walk of the decoded value gives.
   The text is read as the texts of a query or a form, too. */
#include "schema/schema.h"
#include "json/json.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 24
#define FIELDS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[FIELDS] = {"a", "b", "k"};

static SchemaNode nodes[NODES_MAX];
static SchemaField fields[NODES_MAX][FIELDS];
static uint16_t hashes[NODES_MAX][8];
static uint16_t after[NODES_MAX][FIELDS + 1];
static const SchemaNode *parts[NODES_MAX][2];

static void die(const char *what) {
  fprintf(stderr, "schema_fuzz: %s\n", what);
  abort();
}

typedef struct Input {
  const uint8_t *data;
  size_t size;
} Input;

static unsigned take(Input *in, unsigned n) {
  if (!in->size) return 0;
  in->size--;
  return *in->data++ % n;
}

/* Any node, also one that is not made yet: schemas may contain themselves. */
static const SchemaNode *any_node(Input *in) { return &nodes[take(in, NODES_MAX)]; }

static void fill_fields(Input *in, int i) {
  SchemaNode *n = &nodes[i];
  n->count = FIELDS;
  n->fields = fields[i];
  for (int f = 0; f < FIELDS; f++) {
    unsigned flags = take(in, 8);
    fields[i][f] = (SchemaField){
        .key = keys[f], .size = 1, .node = any_node(in), .json = "\"a\":", .json_size = 4};
    fields[i][f].is_required = (flags & 1) && n->kind == SCHEMA_OBJECT;
    fields[i][f].has_default = (flags & 6) == 6 && n->kind == SCHEMA_OBJECT;
    if (fields[i][f].has_default) fields[i][f].is_required = false;
  }
  memset(hashes[i], 0, sizeof hashes[i]);
  n->hash = hashes[i];
  n->hash_mask = 7;
  n->after = after[i];
  n->list = 1; /* their keys, and a default each */
  schema_node_hash(n);
}

static void fill_node(Input *in, int i) {
  static const uint8_t kinds[] = {SCHEMA_ANY,   SCHEMA_STRING,  SCHEMA_INT,    SCHEMA_NUMBER,
                                  SCHEMA_BOOL,  SCHEMA_LIST,    SCHEMA_OBJECT, SCHEMA_OBJECT,
                                  SCHEMA_MAP,   SCHEMA_UNION,   SCHEMA_TAGGED, SCHEMA_TUPLE,
                                  SCHEMA_BYTES, SCHEMA_DECIMAL, SCHEMA_REF,    SCHEMA_LITERAL};
  SchemaNode *n = &nodes[i];
  unsigned flags = take(in, 32);
  *n = (SchemaNode){.kind = kinds[take(in, sizeof kinds)],
                    .size_max = UINT32_MAX,
                    .label = "x",
                    .expected = "'a'",
                    .tag = "k",
                    .tag_size = 1,
                    .list = 2};
  n->is_nullable = flags & 1;
  n->is_unique = (flags & 2) && n->kind == SCHEMA_LIST;
  n->is_lax = (flags & 12) == 12;
  n->extra = n->kind == SCHEMA_OBJECT ? take(in, 3) : SCHEMA_IGNORE;
  if (flags & 16) {
    n->size_min = take(in, 3);
    n->size_max = n->size_min + take(in, 3);
    n->has_bounds = n->has_few_bounds = true;
    n->min = (SchemaBound){true, true, 1, 1};
  }
  n->item = any_node(in);
  parts[i][0] = any_node(in);
  parts[i][1] = any_node(in);
  n->nodes = parts[i];
  n->count = 2;
  if (n->kind == SCHEMA_OBJECT || n->kind == SCHEMA_TAGGED) fill_fields(in, i);
}

/* The program's table: the keys with their defaults, and literals. */
static void push_table(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  for (int f = 0; f < FIELDS; f++) {
    lua_pushstring(L, keys[f]);
    lua_rawseti(L, -2, f + 1);
    lua_pushinteger(L, f);
    lua_rawseti(L, -2, FIELDS + f + 1);
  }
  lua_rawseti(L, -2, 1);
  lua_newtable(L);
  lua_pushliteral(L, "a");
  lua_rawseti(L, -2, 1);
  lua_pushinteger(L, 1);
  lua_rawseti(L, -2, 2);
  lua_rawseti(L, -2, 2);
}

/* Decodes the text by the schema, and walks what it is without one. Both must agree. */
static void check_decode(lua_State *L, const char *text, size_t size, SchemaMode mode) {
  JsonError error;
  lua_settop(L, 2);
  bool ok = schema_decode(L, nodes, 2, text, size, mode);
  if (lua_gettop(L) != 3) die("decode left something on the stack");
  if (!json_decode(L, text, size, &error)) {
    if (ok) die("what is no JSON was decoded");
    return;
  }
  bool same = schema_walk(L, nodes, 2, 4, mode, true);
  if (lua_gettop(L) != 5) die("the walk left something on the stack");
  if (ok != same) die(ok ? "only the walk finds a fault" : "only decoding finds a fault");
  Buffer a = {0}, b = {0};
  if (!json_encode(L, 3, &a, JSON_PRETTY, &error) || !json_encode(L, 5, &b, JSON_PRETTY, &error))
    die(error.message);
  if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) die("the results differ");
  b.len = 0;
  if (ok) {
    int top = lua_gettop(L);
    schema_encode(L, nodes, 2, 3, &b); /* a union may take another branch: it need not succeed */
    if (lua_gettop(L) > top + 1) die("encode left something on the stack");
  }
  buffer_free(&a);
  buffer_free(&b);
}

/* Adds a text to those of its name, in the table on the top: one text, or a list. */
static void add_text(lua_State *L, const char *name, const char *text, size_t size) {
  int type = lua_getfield(L, -1, name);
  if (type == LUA_TTABLE) {
    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    return;
  }
  if (type == LUA_TSTRING) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, 2);
  } else {
    lua_pop(L, 1);
    lua_pushlstring(L, text, size);
  }
  lua_setfield(L, -2, name);
}

/* Reads the text as the fields of a query or a form, "1&2&3" for a, b, k, a and so on. What
   coercion gives once it gives again. */
static void check_texts(lua_State *L, const char *text, size_t size) {
  JsonError error;
  lua_settop(L, 2);
  lua_newtable(L);
  const char *end = text + size;
  for (int f = 0; text < end && f < 64; f++) {
    const char *stop = memchr(text, '&', (size_t)(end - text));
    if (!stop) stop = end;
    add_text(L, keys[f % FIELDS], text, (size_t)(stop - text));
    text = stop + (stop < end);
  }
  bool ok = schema_walk(L, nodes, 2, 3, SCHEMA_TEXT, false);
  bool again = schema_walk(L, nodes, 2, 3, SCHEMA_TEXT, false);
  if (lua_gettop(L) != 5) die("reading texts left something on the stack");
  if (ok != again) die("the same texts fit once");
  Buffer a = {0}, b = {0};
  if (json_encode(L, 4, &a, JSON_PRETTY, &error) != json_encode(L, 5, &b, JSON_PRETTY, &error))
    die("what texts become can be written once");
  if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) die("the same texts become different");
  buffer_free(&a);
  buffer_free(&b);
}

static int run(lua_State *L) {
  Input *in = lua_touserdata(L, 1);
  for (int i = 0; i < NODES_MAX; i++) fill_node(in, i);
  const char *text = (const char *)in->data;
  push_table(L); /* at 2 */
  check_decode(L, text, in->size, SCHEMA_STRICT);
  check_decode(L, text, in->size, SCHEMA_LAX);
  check_texts(L, text, in->size);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input in = {data, size};
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &in);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) die(lua_tostring(L, -1));
  lua_close(L);
  return 0;
}
