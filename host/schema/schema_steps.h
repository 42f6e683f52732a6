/* A long value checked by a schema in steps: schema_walk, for callers that let others run in
   between. Lists, objects and maps are walked in as many steps as they need; a tuple, a union and
   what JSON Schema asserts in one, of which no more than schema_walk_steps are taken. */
#ifndef ML_SCHEMA_STEPS_H
#define ML_SCHEMA_STEPS_H

#include "schema/schema_walk.h"
#include "json/json_steps.h"

/* A node with parts that has begun. */
typedef struct SchemaOpen {
  const SchemaNode *n, *other; /* `other`: what a ref or a tag stands for */
  SchemaMode mode;             /* before it */
  const SchemaStep *up;
  SchemaStep step; /* to the part that is being walked */
  int index, made; /* stack indices of the value, and of the new one */
  bool ok, is_over, in_others;
  size_t i, count;
} SchemaOpen;

typedef struct SchemaSteps {
  SchemaWalk walk;
  const SchemaNode *n;
  int index, depth;
  bool fits; /* the part that has just been walked */
  SchemaOpen open[SCHEMA_WALK_DEPTH];
} SchemaSteps;

/* Prepares to check the value at `index`, which was decoded from `size` bytes of JSON, as
   schema_walk does. The stack is left as it is between the steps. */
void schema_steps_begin(SchemaSteps *s, lua_State *L, const SchemaNode *n, int table, int index,
                        SchemaMode mode, size_t size);

/* Does the next step. JSON_DONE: the new value is pushed; JSON_FAILED: the list of errors is. */
JsonProgress schema_steps_go(SchemaSteps *s);

#endif
