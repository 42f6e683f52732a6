/* A walk over a value that is already there; between the files of host/schema. */
#ifndef ML_SCHEMA_WALK_H
#define ML_SCHEMA_WALK_H

#include "schema/schema.h"
#include "json/json.h"

#include <lua.h>

/* Where the walk is, innermost first: a step is a field, or an index from 0 where key is NULL. */
typedef struct SchemaStep {
  const struct SchemaStep *up;
  const char *key;
  size_t size;
  lua_Integer index;
} SchemaStep;

typedef struct SchemaWalk {
  lua_State *L;
  int table;  /* stack index of the program's table */
  int errors; /* stack index of the list of errors; 0 where only the result counts */
  int count;  /* errors in it */
  SchemaMode mode;
  bool is_json;   /* the value was decoded: its arrays are marked, empty ones, too */
  bool build;     /* push the values; no longer so after the first error */
  bool output;    /* to be encoded: what is absent becomes null where that is allowed */
  bool reporting; /* inside a union that fits nothing: its branches' errors are wanted */
  int depth;
  int64_t steps;         /* that are left: unions within unions could take for ever */
  int64_t pattern_steps; /* that patterns have taken: many texts could, too */
} SchemaWalk;

/* Levels of nodes at most: a level of the value takes up to three. */
#define SCHEMA_WALK_DEPTH (JSON_MAX_DEPTH * 3)

/* Nodes that are visited at most in what comes from so many bytes of JSON. */
int64_t schema_walk_steps(size_t size);

/* schema_walk with at most so many steps. */
bool schema_walk_within(lua_State *L, const SchemaNode *n, int table, int index, SchemaMode mode,
                        bool is_json, int64_t steps);

/* Checks the value at the absolute index. With `build` pushes what becomes of it if true; pushes
   nothing else. */
bool schema_walk_value(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up);

/* --- the parts of that, for schema_steps.c, which walks long values without recursion --- */

/* Pushes the list of errors. `table` is an absolute index. */
SchemaWalk schema_walk_begin(lua_State *L, int table, SchemaMode mode, bool is_json, int64_t steps);

/* After the walk, which has pushed a value if `ok`: leaves that or the list of errors in the place
   of the latter, and returns which. */
bool schema_walk_end(SchemaWalk *w, const SchemaNode *n, int index, bool ok);

/* Around the walk of a node: false where it is deeper, or takes more steps, than may be. `mode`:
   the one before. */
bool schema_walk_enter(SchemaWalk *w, const SchemaNode *n);
void schema_walk_leave(SchemaWalk *w, SchemaMode mode);

/* Around the items of a list (or a tuple): pushes the table of the new list, or nil, and tells the
   number of items; or adds an error and returns false. Afterwards, with that on the top: leaves it
   there if all is well and values are built, else removes it. */
bool schema_walk_begin_list(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                            lua_Integer *count);
bool schema_walk_end_list(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                          lua_Integer count, bool ok);

typedef enum SchemaPart {
  SCHEMA_NO_MORE,
  SCHEMA_FINE,
  SCHEMA_WRONG,  /* and the error is added */
  SCHEMA_TO_WALK /* as `step`; the key and the value are on the top of the stack */
} SchemaPart;

/* Field i of the object at `index`. The list of keys is at `keys`, the table that is built above it
   on the top of the stack. Whatever it leaves above that is to be removed. */
SchemaPart schema_walk_begin_field(SchemaWalk *w, const SchemaNode *n, uint32_t i, int index,
                                   int keys, const SchemaStep *up, SchemaStep *step);

/* The next member of a map, or of an object, which lists some; the key before it (or nil) is on the
   top of the stack, and below the new one's value afterwards. */
SchemaPart schema_walk_next_member(SchemaWalk *w, const SchemaNode *n, int index,
                                   const SchemaStep *up, size_t *count, SchemaStep *step);

/* Puts the new value on the top into the table at `made`, under the key that is below the old one.
 */
void schema_walk_keep_member(lua_State *L, int made);

/* Around the members of an object or a map: pushes the list of keys, for an object alone, and the
   table of the new one, or nil; or adds an error and returns false. Afterwards, with that table at
   `made` and `count` members of a map: pops all from there on, and leaves the table if all is well
   and values are built. */
bool schema_walk_begin_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up);
bool schema_walk_end_object(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                            int made, size_t count, bool ok);

/* The node that the tag of the object names, and its step; NULL with an error. */
const SchemaNode *schema_walk_tagged(SchemaWalk *w, const SchemaNode *n, int index,
                                     const SchemaStep *up, SchemaStep *step);

/* Pushes the values to be used for a missing field: its default, copied. */
void schema_walk_default(lua_State *L, int index);

/* Is the value at `index` a table that JSON has as an array, or an object? An empty table without a
   mark is both. */
bool schema_walk_is_list(lua_State *L, int index);
bool schema_walk_is_object(lua_State *L, int index);

/* What is wrong with the number at `index` by the node's limits: the type of the error, or NULL;
   `*bound` is the limit. */
const char *schema_walk_bound(lua_State *L, const SchemaNode *n, int index,
                              const SchemaBound **bound);

/* Does the pattern, a SchemaPattern, match somewhere in the text? False, too, where no steps are
   left. */
bool schema_walk_matches(SchemaWalk *w, const void *pattern, const char *s, size_t size);

/* Does the string fit the pattern, the match and the format? The type of the error, or NULL;
   `*detail` explains it where there is more to say. */
const char *schema_walk_text(SchemaWalk *w, const SchemaNode *n, const char *s, size_t size,
                             const char **detail);

/* Which of the literals the value is: its number from 1, or 0. */
lua_Integer schema_walk_literal(lua_State *L, const SchemaNode *n, int table, int index);

#endif
