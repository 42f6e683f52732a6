/* Long texts of JSON, decoded in steps between which other tasks run: a peer decides how much work
   they are, and the loop is not to be its alone for so long. One is decoded at a time, the others
   wait in order. */
#ifndef ML_JSON_LONG_H
#define ML_JSON_LONG_H

#include "schema/schema.h"

/* Bytes from which on steps are worth it; a shorter text takes a few milliseconds at most. */
#define JSON_LONG (256 << 10)

/* With the value on the top of the stack, or (`ok` is false) an error: the one of
   json_error_return, or a schema's list. Returns the number of the caller's results, or raises. */
typedef int (*JsonLongDone)(lua_State *L, bool ok);

/* What a text may hold. */
typedef struct JsonLongLimit {
  uint64_t max_values; /* JSON_ANY_VALUES: any number */
  /* NULL, or called with their number before they are made. False: they shall not be, and the error
     that is on the top is raised. */
  bool (*counted)(lua_State *L, uint64_t values);
} JsonLongLimit;

/* Decodes the text on the top of the stack, by the schema `n` if that is not NULL (its table is at
   the index `table`), and ends with `done`: `return json_long_decode(...);`. What is below stays.
   Suspends in between, but not where that is not possible. */
int json_long_decode(lua_State *L, const JsonLongLimit *limit, const SchemaNode *n, int table,
                     SchemaMode mode, JsonLongDone done);

#endif
