/* JSON text to values that fit a schema, in one go; declared in schema.h. What json_decode does is
   what happens here where the schema allows anything. Where a value does not fit it is decoded
   again without the schema, and walked, which tells all that is wrong with it; then the rest goes
   on. What that cannot get right (errors of members that the schema does not list; repeated
   members; coercion) is decoded and walked as a whole. */
#include "base/word.h"
#include "schema/schema_error.h"
#include "schema/schema_walk.h"
#include "json/json_decoder.h"
#include "json/json_scan.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Bytes that may be looked at ahead for tags, for each byte of the text. */
#define AHEAD_FACTOR 4

/* Refs and tags on the way to a value: each of 512 levels has one or two. */
#define HOPS_MAX 1200

/* Bytes that may be decoded again, for each byte of the text. */
#define AGAIN_FACTOR 2

typedef struct Fused {
  Decoder d;
  size_t ahead; /* bytes that may still be looked at ahead */
  size_t again; /* bytes that may still be decoded again */
  SchemaMode mode;
  bool is_unordered;     /* errors may have come in another order than the schema's */
  int hops;              /* nodes that stand for others, on the way here */
  bool give_up;          /* the text is to be decoded and walked as a whole */
  const SchemaNode *lax; /* the outermost node that coerces, while inside */
  unsigned changes; /* values made so far that are not what the text has: defaults and the like */
  int errors;       /* stack index of the list of errors, or of nil before the first one */
  uint16_t of[SCHEMA_ERRORS_MAX]; /* of each error: the field, of the innermost object it is in */
  SchemaWalk walk;
} Fused;

static bool value(Fused *f, const SchemaNode *n, const SchemaStep *up);

/* The same by another node at the same place of the text: a ref may lead round in a circle. */
static bool value_by(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  if (f->hops >= HOPS_MAX) {
    f->give_up = true;
    return false;
  }
  f->hops++;
  bool ok = value(f, n, up);
  f->hops--;
  return ok;
}

/* The list of errors as the walk wants it. */
static void begin_errors(Fused *f) {
  if (lua_isnil(f->d.L, f->errors)) {
    lua_newtable(f->d.L);
    lua_replace(f->d.L, f->errors);
  }
  f->walk.errors = f->errors;
}

/* Takes back what was pushed since the value began, which does not fit, decodes it without the
   schema and adds what is wrong with it to the errors. False: give up. */
__attribute__((noinline)) static bool recover(Fused *f, const SchemaNode *n, const SchemaStep *up,
                                              const char *start, int depth, int top, int count) {
  Decoder *d = &f->d;
  SchemaWalk *w = &f->walk;
  lua_State *L = d->L;
  bool was = f->give_up;
  f->give_up = true;
  if (was || f->mode != SCHEMA_STRICT || f->lax || w->steps <= 0) return false;
  lua_settop(L, top);
  d->p = start;
  d->depth = depth;
  if (!json_decoder_value(d)) return false;
  size_t size = (size_t)(d->p - start);
  if (size > f->again) return false;
  f->again -= size;
  begin_errors(f);
  schema_error_forget(w, count);
  w->depth = depth;
  w->build = false;
  bool fits = schema_walk_value(w, n, top + 1, up);
  w->errors = 0;
  if (fits || w->count >= SCHEMA_ERRORS_MAX) return false;
  f->give_up = false;
  lua_settop(L, top + 1); /* some value in its place */
  return true;
}

/* The value of a member or an item: pushes it on the stack of `top` values, or what stands for it
   after its errors were added. */
static inline bool part(Fused *f, const SchemaNode *n, const SchemaStep *up, int top) {
  const char *start = f->d.p;
  int depth = f->d.depth, count = f->walk.count;
  return value(f, n, up) || recover(f, n, up, start, depth, top, count);
}

/* What the fused way has no way for: decoded as it is, then walked. */
static bool value_walked(Fused *f, const SchemaNode *n) {
  lua_State *L = f->d.L;
  if (!json_decoder_value(&f->d)) return false;
  int index = lua_gettop(L);
  f->changes++;
  f->walk.build = true;
  f->walk.depth = f->d.depth;
  if (!schema_walk_value(&f->walk, n, index, NULL)) return false;
  lua_replace(L, index);
  return true;
}

static bool string(Fused *f, const SchemaNode *n) {
  if (n->format || n->pattern || n->match) return value_walked(f, n);
  if (!json_decoder_string(&f->d)) return false;
  size_t size;
  const char *s = lua_tolstring(f->d.L, -1, &size);
  if (n->kind == SCHEMA_BYTES) return size >= n->size_min && size <= n->size_max;
  return schema_node_size_fits(n, s, size);
}

/* A string that is one of the node's literals. */
static bool literal(Fused *f, const SchemaNode *n) {
  Decoder *d = &f->d;
  if (!n->fields) return value_walked(f, n);
  const char *start = d->p + 1, *p = json_skip_plain(start, d->end);
  if (p < d->end && *p == '"') {
    if (schema_node_find(n, start, (size_t)(p - start)) < 0) return false;
    lua_pushlstring(d->L, start, (size_t)(p - start));
    d->p = p + 1;
    return true;
  }
  return value_walked(f, n);
}

/* Digits of a number that is surely an integer of 64 bits. */
#define SHORT_DIGITS 18

/* At a digit or a minus sign: reads an integer that is short and has no fraction. */
static inline bool short_integer(Decoder *d, lua_Integer *value) {
  const char *p = d->p, *end = d->end;
  bool negative = *p == '-';
  const char *digits = p += negative;
  lua_Integer v = 0;
  while (p < end && *p >= '0' && *p <= '9' && p - digits < SHORT_DIGITS) v = v * 10 + (*p++ - '0');
  if (p == digits || p == end || (*digits == '0' && p - digits > 1)) return false;
  if (*p != ',' && *p != '}' && *p != ']') return false;
  *value = negative ? -v : v;
  d->p = p;
  return true;
}

static bool number(Fused *f, const SchemaNode *n) {
  lua_State *L = f->d.L;
  lua_Integer i;
  if (short_integer(&f->d, &i)) {
    lua_pushinteger(L, i);
    if (!n->has_bounds) return true;
    if (!n->has_few_bounds) goto bounds;
    return (!n->min.is_set || i >= n->min.integer) && (!n->max.is_set || i <= n->max.integer);
  }
  if (!json_decoder_value(&f->d)) return false;
  if (n->kind == SCHEMA_INT && !lua_isinteger(L, -1)) {
    lua_Number v = lua_tonumber(L, -1);
    if (v != floor(v) || !lua_numbertointeger(v, &i)) return false;
    lua_pop(L, 1);
    lua_pushinteger(L, i);
    f->changes++;
  }
bounds:;
  const SchemaBound *bound;
  return !n->has_bounds || !schema_walk_bound(L, n, lua_gettop(L), &bound);
}

static bool list(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  Decoder *d = &f->d;
  lua_State *L = d->L;
  if (!json_decoder_enter(d)) return false;
  int table = lua_gettop(L);
  lua_Integer count = 0;
  int more = 1;
  if (d->p < d->end && *d->p == ']') {
    d->p++;
    d->depth--;
    more = 0;
  }
  while (more) {
    if (count % 16 == 0 && !lua_checkstack(L, JSON_STACK_ROOM))
      return json_decoder_out_of_memory(d);
    if (++count > (lua_Integer)n->size_max) return false;
    SchemaStep step = {.up = up, .index = count - 1};
    int top = table + (count <= JSON_PENDING_MAX ? (int)count - 1 : 0);
    if (!part(f, n->item, &step, top)) return false;
    if (count > JSON_PENDING_MAX)
      lua_rawseti(L, table, count);
    else if (count == JSON_PENDING_MAX)
      json_decoder_collect(L, table, JSON_PENDING_MAX);
    more = json_decoder_next(d, ']');
    if (more < 0) return false;
  }
  if (count < JSON_PENDING_MAX) json_decoder_collect(L, table, (int)count);
  json_decoder_mark_array(d, table);
  return count >= (lua_Integer)n->size_min;
}

/* At the quote of a key that is not the field expected next: moves behind it. The field, or -1; -2
   after a failure. */
static int find_field(Fused *f, const SchemaNode *n) {
  Decoder *d = &f->d;
  const char *start = d->p + 1, *p = json_skip_plain(start, d->end);
  if (p < d->end && *p == '"') {
    d->p = p + 1;
    return schema_node_find(n, start, (size_t)(p - start));
  }
  if (!json_decoder_string(d)) return -2; /* with escapes, or beyond ASCII */
  size_t size;
  const char *s = lua_tolstring(d->L, -1, &size);
  int field = schema_node_find(n, s, size);
  lua_pop(d->L, 1);
  return field;
}

/* The member of an object that does not list it, from its value on; `key` is the text's. */
static bool other_member(Fused *f, const SchemaNode *n, const char *key, int table,
                         const SchemaStep *up) {
  Decoder *d = &f->d;
  lua_State *L = d->L;
  if (n->extra == SCHEMA_FORBID) return false;
  if (n->extra == SCHEMA_IGNORE) {
    f->changes++;
    if (!json_decoder_value(d)) return false;
    lua_pop(L, 1);
    return true;
  }
  const char *at = d->p;
  d->p = key;
  if (!json_decoder_string(d)) return false;
  d->p = at;
  SchemaStep step = {.up = up};
  step.key = lua_tolstring(L, -1, &step.size);
  f->is_unordered = true; /* errors of others come behind those of the fields */
  if (!part(f, n->item, &step, lua_gettop(L))) return false;
  lua_rawset(L, table);
  return true;
}

/* Adds the errors of an object that is as the text has it and whose only fault is that fields are
   missing: nothing has to be decoded again for them. False where none of that is so. */
__attribute__((noinline)) static bool report_missing(Fused *f, const SchemaNode *n,
                                                     const uint64_t *seen, int table,
                                                     const SchemaStep *up) {
  SchemaWalk *w = &f->walk;
  if (f->give_up || f->mode != SCHEMA_STRICT || f->lax || w->steps <= 0) return false;
  int count = w->count;
  begin_errors(f);
  for (uint32_t i = 0; i < n->count && w->count < SCHEMA_ERRORS_MAX; i++) {
    const SchemaField *field = &n->fields[i];
    if (seen[i / 64] >> (i % 64) & 1 || field->has_default || !field->is_required) continue;
    SchemaStep step = {.up = up, .key = field->key, .size = field->size};
    schema_error_add(w, n, table, &step, "missing", NULL);
  }
  w->errors = 0;
  if (w->count >= SCHEMA_ERRORS_MAX) f->give_up = true;
  return w->count > count && !f->give_up;
}

/* Puts the defaults into the fields that have not come. */
static void put_defaults(Fused *f, const SchemaNode *n, const uint64_t *seen, int table) {
  lua_State *L = f->d.L;
  for (uint32_t i = 0; i < n->count; i++) {
    if (seen[i / 64] >> (i % 64) & 1 || !n->fields[i].has_default) continue;
    f->changes++;
    lua_rawgeti(L, table + 1, (lua_Integer)i + 1);
    lua_rawgeti(L, table + 1, (lua_Integer)(n->count + i) + 1);
    if (lua_type(L, -1) == LUA_TTABLE) {
      schema_walk_default(L, -1);
      lua_remove(L, -2);
    }
    lua_rawset(L, table);
  }
}

/* Puts the errors from `from` on, those of an object's members in the order of the text, into the
   order of its fields. */
__attribute__((noinline)) static void sort_errors(Fused *f, int from) {
  lua_State *L = f->d.L;
  for (int i = from + 1; i < f->walk.count; i++) {
    uint16_t field = f->of[i];
    int at = i;
    while (at > from && f->of[at - 1] > field) at--;
    if (at == i) continue;
    lua_rawgeti(L, f->errors, i + 1);
    for (int k = i; k > at; k--) {
      f->of[k] = f->of[k - 1];
      lua_rawgeti(L, f->errors, k);
      lua_rawseti(L, f->errors, k + 1);
    }
    f->of[at] = field;
    lua_rawseti(L, f->errors, at + 1);
  }
}

/* memcmp is a call, and most keys are short. */
static inline bool same_key(const char *a, const char *b, size_t size) {
  size_t i = 0;
  for (; i + 8 <= size; i += 8)
    if (word_load(a + i) != word_load(b + i)) return false;
  for (; i < size; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool object(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  Decoder *d = &f->d;
  lua_State *L = d->L;
  uint64_t seen[SCHEMA_FIELDS_MAX / 64];
  for (uint32_t i = 0; i * 64 < n->count; i++) seen[i] = 0;
  if (!json_decoder_enter(d)) return false;
  lua_createtable(L, 0, (int)n->count);
  lua_replace(L, -2);
  int table = lua_gettop(L), more = 1;
  lua_rawgeti(L, f->walk.table, n->list);
  uint32_t place = 0, next = 0, count = 0; /* behind the last field, behind the furthest one */
  bool is_shuffled = false;
  unsigned changes = f->changes;
  int errors = f->walk.count;
  if (d->p < d->end && *d->p == '}') {
    d->p++;
    d->depth--;
    more = 0;
  }
  while (more) {
    if (d->p >= d->end || *d->p != '"') return false;
    const char *key = d->p;
    int i = -1;
    uint32_t expected = n->after[place];
    if (expected < n->count) {
      const SchemaField *field = &n->fields[expected];
      if ((size_t)(d->end - key) > field->size + 1 && key[field->size + 1] == '"' &&
          same_key(key + 1, field->key, field->size)) {
        i = (int)expected;
        d->p = key + field->size + 2;
      }
    }
    if (i < 0) {
      if ((i = find_field(f, n)) < -1) return false;
      if (i >= 0) n->after[place] = (uint16_t)i;
    }
    if (d->p >= d->end || *d->p != ':') {
      d->p = json_decoder_skip_space(d->p, d->end);
      if (d->p >= d->end || *d->p != ':') return false;
    }
    d->p = json_decoder_skip_space(d->p + 1, d->end);
    if (i < 0) {
      if (!other_member(f, n, key, table, up)) return false;
    } else {
      bool is_again = seen[i / 64] >> (i % 64) & 1;
      if (is_again) f->is_unordered = true; /* errors of the first one do not count */
      if ((uint32_t)i < next)
        is_shuffled = true;
      else
        next = (uint32_t)i + 1;
      place = (uint32_t)i + 1;
      count += !is_again;
      seen[i / 64] |= UINT64_C(1) << (i % 64);
      lua_rawgeti(L, table + 1, i + 1);
      SchemaStep step = {.up = up, .key = n->fields[i].key, .size = n->fields[i].size};
      int before = f->walk.count;
      if (!part(f, n->fields[i].node, &step, table + 2)) return false;
      for (int k = before; k < f->walk.count; k++) f->of[k] = (uint16_t)i;
      lua_rawset(L, table);
    }
    more = json_decoder_next(d, '}');
    if (more < 0) return false;
  }
  if (count < n->count) {
    bool is_exact = changes == f->changes && errors == f->walk.count;
    bool is_missing = false;
    for (uint32_t i = 0; i < n->count && !is_missing; i++)
      is_missing = !(seen[i / 64] >> (i % 64) & 1) && n->fields[i].is_required;
    if (is_missing && !(is_exact && report_missing(f, n, seen, table, up))) return false;
    if (!is_missing) put_defaults(f, n, seen, table);
    if (is_missing) is_shuffled = false; /* the only errors, in the order of the fields */
  }
  if (is_shuffled && f->walk.count - errors > 1) sort_errors(f, errors);
  lua_settop(L, table);
  return true;
}

static bool map(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  Decoder *d = &f->d;
  lua_State *L = d->L;
  if (!json_decoder_enter(d)) return false;
  lua_newtable(L);
  lua_replace(L, -2);
  int table = lua_gettop(L), more = 1;
  if (d->p < d->end && *d->p == '}') {
    d->p++;
    d->depth--;
    more = 0;
  }
  while (more) {
    if (d->p >= d->end || *d->p != '"' || !json_decoder_string(d)) return false;
    d->p = json_decoder_skip_space(d->p, d->end);
    if (d->p >= d->end || *d->p != ':') return false;
    d->p = json_decoder_skip_space(d->p + 1, d->end);
    SchemaStep step = {.up = up};
    step.key = lua_tolstring(L, -1, &step.size);
    f->is_unordered = true; /* a key may come twice */
    if (!part(f, n->item, &step, lua_gettop(L))) return false;
    lua_rawset(L, table);
    more = json_decoder_next(d, '}');
    if (more < 0) return false;
  }
  if (n->size_min == 0 && n->size_max == UINT32_MAX) return true;
  uint32_t count = 0; /* of equal keys the last one counts, and only that */
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    count++;
  }
  return count >= n->size_min && count <= n->size_max;
}

/* Behind the string whose first character is at `p`, or NULL. */
static const char *skip_string(const char *p, const char *end) {
  for (;;) {
    p = json_skip_plain(p, end);
    if (p >= end) return NULL;
    if (*p == '"') return p + 1;
    p += *p == '\\' ? 2 : 1;
    if (p > end) return NULL;
  }
}

/* Behind the value at `p`, of which only the shape is looked at. */
static const char *skip_value(const char *p, const char *end) {
  int depth = 0;
  while (p < end) {
    char c = *p;
    if (c == '"') {
      p = skip_string(p + 1, end);
      if (!p) return NULL;
      if (depth == 0) return p;
      continue;
    }
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') {
      if (depth == 0) return p;
      if (--depth == 0) return p + 1;
    }
    if (c == ',' && depth == 0) return p;
    p++;
  }
  return NULL;
}

/* At the brace of an object of a tagged union: looks ahead for the tag. The branch, or -1. */
static int look_for_tag(Fused *f, const SchemaNode *n) {
  const char *start = f->d.p, *end = f->d.end;
  if ((size_t)(end - start) > f->ahead) end = start + f->ahead;
  const char *p = json_decoder_skip_space(start + 1, end);
  int found = -1;
  while (p && p < end && *p == '"') {
    const char *key = p + 1;
    p = skip_string(key, end);
    if (!p) break;
    bool is_tag = (size_t)(p - 1 - key) == n->tag_size && memcmp(key, n->tag, n->tag_size) == 0;
    p = json_decoder_skip_space(p, end);
    if (p >= end || *p++ != ':') break;
    p = json_decoder_skip_space(p, end);
    if (is_tag) {
      const char *q = p < end && *p == '"' ? json_skip_plain(p + 1, end) : end;
      if (q < end && *q == '"') found = schema_node_find(n, p + 1, (size_t)(q - p - 1));
      break;
    }
    p = skip_value(p, end);
    if (!p) break;
    p = json_decoder_skip_space(p, end);
    if (p >= end || *p++ != ',') break;
    p = json_decoder_skip_space(p, end);
  }
  size_t looked = p ? (size_t)(p - start) : (size_t)(end - start);
  f->ahead -= looked < f->ahead ? looked : f->ahead;
  return found;
}

static bool tagged(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  int i = look_for_tag(f, n);
  if (i < 0) return false;
  SchemaStep step = {.up = up, .key = n->fields[i].key, .size = n->fields[i].size};
  return value_by(f, n->fields[i].node, &step);
}

static bool word(Fused *f, const char *text, size_t size) {
  Decoder *d = &f->d;
  if ((size_t)(d->end - d->p) < size || memcmp(d->p, text, size) != 0) return false;
  d->p += size;
  return true;
}

/* What fits needs no coercion; the rest is walked as a whole. */
__attribute__((noinline)) static bool value_lax(Fused *f, const SchemaNode *n,
                                                const SchemaStep *up) {
  const SchemaNode *outer = f->lax;
  f->lax = n;
  bool ok = value(f, n, up);
  f->lax = outer;
  if (!ok) f->give_up = true;
  return ok;
}

/* At the first character of a value: pushes it and moves behind it. False where it does not fit, or
   is not JSON. */
static bool value(Fused *f, const SchemaNode *n, const SchemaStep *up) {
  Decoder *d = &f->d;
  if (d->p >= d->end) return false;
  char c = *d->p;
  if (c == 'n' && n->is_nullable) {
    if (!word(f, "null", 4)) return false;
    json_push_null(d->L);
    return true;
  }
  if (n->is_unique) return value_walked(f, n);
  if (n->is_lax && f->lax != n) return value_lax(f, n, up);
  switch ((SchemaKind)n->kind) {
  case SCHEMA_ANY:
    return json_decoder_value(d);
  case SCHEMA_STRING:
  case SCHEMA_BYTES:
    return c == '"' && string(f, n);
  case SCHEMA_INT:
  case SCHEMA_NUMBER:
    return (c == '-' || (c >= '0' && c <= '9')) && number(f, n);
  case SCHEMA_BOOL:
    if (!word(f, c == 't' ? "true" : "false", c == 't' ? 4 : 5)) return false;
    lua_pushboolean(d->L, c == 't');
    return true;
  case SCHEMA_LITERAL:
    return c == '"' ? literal(f, n) : value_walked(f, n);
  case SCHEMA_LIST:
    return c == '[' && list(f, n, up);
  case SCHEMA_OBJECT:
    return c == '{' && object(f, n, up);
  case SCHEMA_MAP:
    return c == '{' && map(f, n, up);
  case SCHEMA_TAGGED:
    return c == '{' && tagged(f, n, up);
  case SCHEMA_REF:
    return value_by(f, n->item, up);
  case SCHEMA_DECIMAL:
  case SCHEMA_TUPLE:
  case SCHEMA_UNION:
  case SCHEMA_RULES:
    break;
  }
  return value_walked(f, n);
}

bool schema_decode(lua_State *L, const SchemaNode *n, int table, const char *text, size_t size,
                   SchemaMode mode) {
  JsonError error;
  int top = lua_gettop(L);
  if (!text) text = "";
  Fused f = {
      .d = {.L = L, .start = text, .end = text + size, .error = &error, .array_mark = top + 1},
      .ahead = size * AHEAD_FACTOR,
      .again = size * AGAIN_FACTOR,
      .mode = mode,
      .errors = top + 2,
      .walk = {.L = L,
               .table = lua_absindex(L, table),
               .steps = schema_walk_steps(size),
               .is_json = true}};
  f.d.p = json_decoder_skip_space(text, f.d.end);
  luaL_checkstack(L, JSON_STACK_ROOM, NULL);
  lua_pushnil(L); /* in the place of the mark */
  lua_pushnil(L); /* and of the errors */
  if (part(&f, n, NULL, top + 2) && !f.give_up && f.walk.steps > 0 &&
      json_decoder_skip_space(f.d.p, f.d.end) == f.d.end) {
    bool fits = !f.walk.count;
    if (fits || !f.is_unordered) {
      lua_settop(L, top + 3);
      lua_replace(L, top + 1);
      lua_settop(L, fits ? top + 1 : top + 2);
      if (!fits) lua_replace(L, top + 1);
      return fits;
    }
  }
  lua_settop(L, top);
  if (!json_decode(L, text, size, &error)) {
    schema_error_push_json(L, error.offset, error.message);
    return false;
  }
  bool ok = schema_walk_within(L, n, table, top + 1, mode, true, schema_walk_steps(size));
  lua_replace(L, top + 1);
  return ok;
}
