/* A compiled schema as Lua has it; made by bindings/schema, and read by whoever decodes or encodes
   by it. */
#ifndef ML_SCHEMA_PROGRAM_H
#define ML_SCHEMA_PROGRAM_H

#include "schema/schema_node.h"

/* The metatable of programs. */
#define SCHEMA_PROGRAM "moonloop.schema.program"

/* A userdata. Its user value SCHEMA_PROGRAM_TABLE is the program's table, which the functions of
   schema.h need, and the next one holds whatever the nodes point at. */
typedef struct SchemaProgram {
  SchemaNode *nodes; /* the first one is the schema's */
  int count;
  void **patterns;
  int pattern_count;
} SchemaProgram;

enum { SCHEMA_PROGRAM_TABLE = 1 };

#endif
