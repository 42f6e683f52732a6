/* A walk over a value that is already there; between the files of host/schema. */
#ifndef ML_SCHEMA_WALK_H
#define ML_SCHEMA_WALK_H

#include "schema/schema.h"

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
  int64_t steps; /* that are left: unions within unions could take for ever */
} SchemaWalk;

/* schema_walk with at most so many steps. */
bool schema_walk_within(lua_State *L, const SchemaNode *n, int table, int index, SchemaMode mode,
                        bool is_json, int64_t steps);

/* Checks the value at the absolute index. With `build` pushes what becomes of it if true; pushes
   nothing else. */
bool schema_walk_value(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up);

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

/* Does the string fit the pattern, the match and the format? The type of the error, or NULL;
   `*detail` explains it where there is more to say. */
const char *schema_walk_text(const SchemaNode *n, const char *s, size_t size, const char **detail);

/* Which of the literals the value is: its number from 1, or 0. */
lua_Integer schema_walk_literal(lua_State *L, const SchemaNode *n, int table, int index);

#endif
