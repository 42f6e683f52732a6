/* A compiled schema: a tree of nodes (a graph, where schemas contain themselves) that values are
   checked by. Made by bindings/schema, read by the walk, the decoder and the encoder. */
#ifndef ML_SCHEMA_NODE_H
#define ML_SCHEMA_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum SchemaKind {
  SCHEMA_ANY,
  SCHEMA_STRING, /* with a format: also a date, a UUID and the like */
  SCHEMA_BYTES,
  SCHEMA_INT,
  SCHEMA_NUMBER,
  SCHEMA_BOOL,
  SCHEMA_DECIMAL,
  SCHEMA_LITERAL, /* enum and const */
  SCHEMA_LIST,
  SCHEMA_TUPLE,
  SCHEMA_MAP,
  SCHEMA_OBJECT,
  SCHEMA_UNION,
  SCHEMA_TAGGED,
  SCHEMA_REF,
  SCHEMA_RULES, /* JSON Schema: see schema_rules.c */
} SchemaKind;

typedef enum SchemaFormat {
  SCHEMA_FORMAT_NONE,
  SCHEMA_FORMAT_DATETIME,
  SCHEMA_FORMAT_DATE,
  SCHEMA_FORMAT_TIME,
  SCHEMA_FORMAT_DURATION,
  SCHEMA_FORMAT_EMAIL,
  SCHEMA_FORMAT_HOSTNAME,
  SCHEMA_FORMAT_IPV4,
  SCHEMA_FORMAT_IPV6,
  SCHEMA_FORMAT_IP,
  SCHEMA_FORMAT_URI,
  SCHEMA_FORMAT_URI_REFERENCE,
  SCHEMA_FORMAT_URL, /* http or https, with a host */
  SCHEMA_FORMAT_UUID,
  SCHEMA_FORMAT_JSON_POINTER,
  SCHEMA_FORMATS,
} SchemaFormat;

/* What an object does with a field that it does not have. */
typedef enum SchemaExtra { SCHEMA_IGNORE, SCHEMA_FORBID, SCHEMA_CHECK } SchemaExtra;

/* A limit as the schema has it: an integer is compared exactly. */
typedef struct SchemaBound {
  bool is_set, is_integer;
  int64_t integer;
  double number;
} SchemaBound;

typedef struct SchemaNode SchemaNode;

typedef struct SchemaField {
  const char *key;
  uint32_t size;
  bool is_required, has_default;
  bool is_hidden;   /* write_only: never encoded */
  const char *json; /* the key as JSON, with its colon; of `json_size` bytes */
  uint32_t json_size;
  const SchemaNode *node;
} SchemaField;

struct SchemaNode {
  uint8_t kind, format, extra;
  bool is_nullable, is_lax, is_secret, is_unique, is_unix, has_bounds;
  bool has_few_bounds; /* no others than min and max, and these are integers */
  SchemaBound min, max, gt, lt, multiple_of;
  uint32_t size_min, size_max; /* characters, items or members */
  const SchemaNode *item;      /* of a list, the values of a map, other fields, what a ref means */
  const SchemaNode **nodes;    /* of a tuple or a union */
  SchemaField *fields;         /* of an object; the tags of a tagged union; literals, if strings */
  uint32_t count;              /* of them, or of literals */
  uint16_t *hash;              /* of fields: number + 1, or 0 */
  uint16_t *after; /* what is likely to come first, and after each field: the field, as learned */
  uint32_t hash_mask;
  int list; /* what is in the program's table at this index: a list of the fields' keys with their
               defaults behind (at count + number), or of literals */
  const void *pattern; /* SchemaPattern */
  const char *pattern_text, *match;
  size_t match_size;
  const char *expected; /* "'a' or 'b'"; of a tagged union "'a', 'b'" */
  const char *label;    /* what it is called in the location of a union's error */
  const char *tag;      /* of a tagged union, the key */
  uint32_t tag_size;
  const struct SchemaRules *rules;
};

/* Members at most that an object may list. */
#define SCHEMA_FIELDS_MAX 1024

/* The field of this name, or -1. */
int schema_node_find(const SchemaNode *n, const char *key, size_t size);

/* Fills `hash` (which has hash_mask + 1 places, all 0) from the fields. */
void schema_node_hash(SchemaNode *n);

/* How many characters there are in well-formed UTF-8. */
size_t schema_node_characters(const char *s, size_t size);

/* May a text of `size` bytes have as many characters as the node allows? */
static inline bool schema_node_size_fits(const SchemaNode *n, const char *s, size_t size) {
  if (size < n->size_min) return false; /* there are at most as many characters as bytes */
  if (size <= n->size_max && (n->size_min <= 1 || size / 4 >= n->size_min)) return true;
  size_t count = schema_node_characters(s, size);
  return count >= n->size_min && count <= n->size_max;
}

#endif
