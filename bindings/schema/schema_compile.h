/* Descriptions of schemas, as the Lua part makes them, to nodes. */
#ifndef ML_SCHEMA_COMPILE_H
#define ML_SCHEMA_COMPILE_H

#include "schema/schema_program.h"

#include <lua.h>

typedef struct SchemaCompiler {
  lua_State *L;
  SchemaProgram *program;
  int lists, anchors; /* stack indexes of the two tables */
} SchemaCompiler;

/* Pushes the program of the list of descriptions at index 1. Raises what is wrong. */
void schema_compile(lua_State *L, const char *class);

/* Frees what Lua does not. */
void schema_compile_free(SchemaProgram *program);

/* --- for schema_compile_rules.c --- */

/* Memory, all 0, that lives as long as the program. */
void *schema_compile_alloc(SchemaCompiler *c, size_t count, size_t size);

/* The text in the field of the table on the top of L, or NULL. */
const char *schema_compile_text(SchemaCompiler *c, const char *field, size_t *size);

/* The node whose number is in the field, or NULL. */
const SchemaNode *schema_compile_node(SchemaCompiler *c, const char *field);

/* The nodes whose numbers are in the list in the field. */
const SchemaNode **schema_compile_nodes(SchemaCompiler *c, const char *field, uint32_t *count);

/* Compiles the pattern (as PCRE2 has it). */
const void *schema_compile_pattern(SchemaCompiler *c, const char *text, size_t size);

/* Puts the list in the field into the program's table. Its index there, or 0. */
int schema_compile_list(SchemaCompiler *c, const char *field, uint32_t *count);

/* Reads the rules in the table on the top of L. */
void schema_compile_rules(SchemaCompiler *c, SchemaNode *n);

#endif
