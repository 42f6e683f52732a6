/* Values checked by schemas: those of Lua tables, and of JSON text while it is decoded. What does
   not fit is a list of errors as Pydantic 2 has them. */
#ifndef ML_SCHEMA_H
#define ML_SCHEMA_H

#include "base/buffer.h"
#include "schema/schema_node.h"

#include <lua.h>

/* Errors at most in a list. */
#define SCHEMA_ERRORS_MAX 100

/* How values are read. */
typedef enum SchemaMode {
  SCHEMA_STRICT, /* as JSON has them */
  SCHEMA_LAX,    /* Pydantic's table: "5" is a 5 where one is expected */
  SCHEMA_TEXT,   /* the same, and a single text is a list of one: queries and forms */
} SchemaMode;

/* Checks the value at `index` by the node; `table` is the index of the program's table. Pushes a
   value of its own, with defaults and without fields that are ignored, and returns true; or pushes
   the list of errors and returns false. Calls no Lua function. `is_json`: the value was decoded, so
   that an empty table without a mark is no list. */
bool schema_walk(lua_State *L, const SchemaNode *n, int table, int index, SchemaMode mode,
                 bool is_json);

/* The same of JSON text. Pushes the value and returns true. Else returns false: with the list of
   errors, or that of one json_invalid where the text is not JSON. */
bool schema_decode(lua_State *L, const SchemaNode *n, int table, const char *text, size_t size,
                   SchemaMode mode);

/* Appends the value at `index` as JSON: only fields that the schema has. Returns true, or false
   with the list of errors pushed and nothing appended. */
bool schema_encode(lua_State *L, const SchemaNode *n, int table, int index, Buffer *out);

#endif
