/* The course of schema_walk.c without its recursion, so that it can stop between two parts of a
   value. What it does about each part is there. */
#include "schema/schema_steps.h"

#include "schema/schema_error.h"

/* Nodes checked in a step: about a millisecond's work. */
#define STEP 8192

void schema_steps_begin(SchemaSteps *s, lua_State *L, const SchemaNode *n, int table, int index,
                        SchemaMode mode, size_t size) {
  s->walk = schema_walk_begin(L, table, mode, true, schema_walk_steps(size));
  s->n = n;
  s->index = index;
  s->depth = 0;
}

static bool has_parts(const SchemaNode *n) {
  return n->kind == SCHEMA_LIST || n->kind == SCHEMA_OBJECT || n->kind == SCHEMA_MAP ||
         n->kind == SCHEMA_TAGGED || n->kind == SCHEMA_REF;
}

static bool begin_kind(SchemaWalk *w, SchemaOpen *o) {
  const SchemaNode *n = o->n;
  lua_Integer count;
  switch ((SchemaKind)n->kind) {
  case SCHEMA_LIST:
    if (!schema_walk_begin_list(w, n, o->index, o->up, &count)) return false;
    o->made = lua_gettop(w->L);
    o->count = (size_t)count;
    return true;
  case SCHEMA_TAGGED:
    o->other = schema_walk_tagged(w, n, o->index, o->up, &o->step);
    return o->other;
  case SCHEMA_REF:
    o->other = n->item;
    return true;
  default:
    if (!schema_walk_begin_object(w, n, o->index, o->up)) return false;
    o->made = lua_gettop(w->L);
    o->in_others = n->kind == SCHEMA_MAP;
    if (o->in_others) lua_pushnil(w->L); /* before the first key */
    return true;
  }
}

/* Walks the value by the node, or begins to: then returns true, and its parts come next. */
static bool begin(SchemaSteps *s, const SchemaNode *n, int index, const SchemaStep *up) {
  SchemaWalk *w = &s->walk;
  if (!has_parts(n) || (n->is_nullable && json_is_null(w->L, index))) {
    s->fits = schema_walk_value(w, n, index, up);
    return false;
  }
  SchemaMode mode = w->mode;
  s->fits = false;
  if (!schema_walk_enter(w, n)) return false;
  SchemaOpen *o = &s->open[s->depth];
  *o = (SchemaOpen){.n = n, .mode = mode, .up = up, .index = index, .ok = true};
  if (!begin_kind(w, o)) {
    schema_walk_leave(w, mode);
    return false;
  }
  s->depth++;
  return true;
}

/* The node of the next part, which is on the top of the stack; or NULL, with `part` other than
   SCHEMA_TO_WALK. */
static const SchemaNode *next_of_object(SchemaWalk *w, SchemaOpen *o, SchemaPart *part) {
  const SchemaNode *n = o->n;
  if (!o->in_others && o->i < n->count) {
    uint32_t i = (uint32_t)o->i++;
    *part = schema_walk_begin_field(w, n, i, o->index, o->made - 1, o->up, &o->step);
    return n->fields[i].node;
  }
  if (!o->in_others) {
    *part = SCHEMA_NO_MORE;
    if (n->extra == SCHEMA_IGNORE) return NULL;
    o->in_others = true;
    lua_pushnil(w->L);
  }
  *part = schema_walk_next_member(w, n, o->index, o->up, &o->count, &o->step);
  return n->item;
}

static const SchemaNode *next_part(SchemaWalk *w, SchemaOpen *o, SchemaPart *part) {
  *part = SCHEMA_NO_MORE;
  switch ((SchemaKind)o->n->kind) {
  case SCHEMA_LIST:
    if (o->i == o->count) return NULL;
    o->step = (SchemaStep){.up = o->up, .index = (lua_Integer)o->i++};
    lua_rawgeti(w->L, o->index, (lua_Integer)o->i);
    *part = SCHEMA_TO_WALK;
    return o->n->item;
  case SCHEMA_TAGGED:
  case SCHEMA_REF:
    if (o->i++ == 0) *part = SCHEMA_TO_WALK;
    return o->other;
  default:
    return next_of_object(w, o, part);
  }
}

/* After a part, which has pushed the new value if it fits and one is built: takes that. */
static void take(SchemaWalk *w, SchemaOpen *o, bool fits, bool was_walked) {
  lua_State *L = w->L;
  bool keeps = was_walked && fits && w->build;
  bool is_list = o->n->kind == SCHEMA_LIST;
  if (!fits) {
    o->ok = false;
    bool is_key_wrong = o->in_others && lua_type(L, o->made + 1) != LUA_TSTRING;
    o->is_over = w->count >= SCHEMA_ERRORS_MAX || is_key_wrong;
  }
  if (o->other) return; /* the value of the other is this one's */
  if (keeps && is_list)
    lua_rawseti(L, o->made, (lua_Integer)o->i);
  else if (keeps)
    schema_walk_keep_member(L, o->made);
  lua_settop(L, o->in_others ? o->made + 1 : o->made);
}

/* After the last part. */
static bool end(SchemaWalk *w, SchemaOpen *o) {
  bool ok = o->ok;
  if (o->n->kind == SCHEMA_LIST)
    ok = schema_walk_end_list(w, o->n, o->index, o->up, (lua_Integer)o->count, ok);
  else if (!o->other)
    ok = schema_walk_end_object(w, o->n, o->index, o->up, o->made, o->count, ok);
  schema_walk_leave(w, o->mode);
  return ok;
}

/* Goes on with the innermost node: with its next part, or behind it. False: that was the outermost
   one. */
static bool go_on(SchemaSteps *s) {
  SchemaWalk *w = &s->walk;
  SchemaOpen *o = &s->open[s->depth - 1];
  SchemaPart part = SCHEMA_NO_MORE;
  const SchemaNode *node = o->is_over ? NULL : next_part(w, o, &part);
  if (part == SCHEMA_TO_WALK) {
    bool is_alias = o->n->kind == SCHEMA_REF;
    int index = o->other ? o->index : lua_gettop(w->L);
    if (!begin(s, node, index, is_alias ? o->up : &o->step)) take(w, o, s->fits, true);
    return true;
  }
  if (part != SCHEMA_NO_MORE) {
    take(w, o, part == SCHEMA_FINE, false);
    return true;
  }
  s->fits = end(w, o);
  if (--s->depth == 0) return false;
  take(w, &s->open[s->depth - 1], s->fits, true);
  return true;
}

JsonProgress schema_steps_go(SchemaSteps *s) {
  SchemaWalk *w = &s->walk;
  int64_t stop = w->steps - STEP;
  bool goes_on = s->depth > 0 || begin(s, s->n, s->index, NULL);
  for (int left = STEP; goes_on && w->steps > 0; left--) {
    if (left == 0 || w->steps < stop) return JSON_MORE;
    goes_on = go_on(s);
  }
  return schema_walk_end(w, s->n, s->index, s->fits) ? JSON_DONE : JSON_FAILED;
}
