/* Errors of a walk: tables with type, loc, msg, input and ctx, as Pydantic 2 makes them. */
#ifndef ML_SCHEMA_ERROR_H
#define ML_SCHEMA_ERROR_H

#include "schema/schema_walk.h"

/* Bytes at most of an error's input. */
#define SCHEMA_INPUT_MAX 1024

/* Adds an error for the value at `index` and returns false. The message is made of `type` and the
   node, and of `detail` where the type has one. */
bool schema_error_add(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                      const char *type, const char *detail);

/* The same for a limit of a number. */
bool schema_error_bound(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                        const char *type, const SchemaBound *bound);

/* The same for a number of characters, items or members that is too small or too large. */
bool schema_error_size(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                       const char *type, const char *what, size_t actual);

/* Adds an error of another kind with a message of its own. */
bool schema_error_text(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up,
                       const char *type, const char *message);

/* Takes the errors back that were added since there were `count`. */
void schema_error_forget(SchemaWalk *w, int count);

/* Pushes the list of one error that the text is not JSON: `offset` in characters. */
void schema_error_push_json(lua_State *L, size_t offset, const char *reason);

#endif
