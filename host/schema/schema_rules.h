/* What JSON Schema asserts of a value of any type; between the files of host/schema, and for those
   who compile it. */
#ifndef ML_SCHEMA_RULES_H
#define ML_SCHEMA_RULES_H

#include "schema/schema_walk.h"

enum {
  SCHEMA_TYPE_NULL = 1,
  SCHEMA_TYPE_BOOLEAN = 2,
  SCHEMA_TYPE_OBJECT = 4,
  SCHEMA_TYPE_ARRAY = 8,
  SCHEMA_TYPE_NUMBER = 16,
  SCHEMA_TYPE_STRING = 32,
  SCHEMA_TYPE_INTEGER = 64,
};

typedef struct SchemaNodes {
  const SchemaNode **list;
  uint32_t count;
} SchemaNodes;

typedef struct SchemaKey {
  const char *key;
  uint32_t size;
} SchemaKey;

/* Where the key is there, these have to be there, too, and the node has to fit. */
typedef struct SchemaDependent {
  SchemaKey key;
  SchemaKey *others;
  uint32_t count;
  const SchemaNode *node;
} SchemaDependent;

typedef struct SchemaPatternNode {
  const void *pattern; /* SchemaPattern */
  const SchemaNode *node;
} SchemaPatternNode;

typedef struct SchemaSizes {
  double min, max;
} SchemaSizes;

/* The node of it has the limits of numbers, the pattern, the format, and `properties` as fields. */
typedef struct SchemaRules {
  unsigned types; /* 0: any */
  bool never;
  const char *type_names; /* for messages */
  SchemaNodes all_of, any_of, one_of, prefix;
  const SchemaNode *negated, *condition, *then, *otherwise;
  const SchemaNode *items, *contains, *additional, *names;
  SchemaSizes length, item_count, contained, members;
  SchemaKey *required;
  uint32_t required_count;
  SchemaDependent *dependents;
  uint32_t dependent_count;
  SchemaPatternNode *patterns;
  uint32_t pattern_count;
  int literals; /* in the program's table, or 0 */
  uint32_t literal_count;
} SchemaRules;

/* Checks the value at the absolute index. Pushes nothing. */
bool schema_rules_check(SchemaWalk *w, const SchemaNode *n, int index, const SchemaStep *up);

#endif
