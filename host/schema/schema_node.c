#include "schema/schema_node.h"

#include <string.h>

static uint32_t hash_of(const char *s, size_t size) {
  uint32_t h = (uint32_t)size * 0x9E3779B1u;
  for (size_t i = 0; i < size; i++) h = (h ^ (unsigned char)s[i]) * 0x01000193u;
  return h ^ h >> 15;
}

int schema_node_find(const SchemaNode *n, const char *key, size_t size) {
  for (uint32_t h = hash_of(key, size) & n->hash_mask; n->hash[h]; h = (h + 1) & n->hash_mask) {
    const SchemaField *field = &n->fields[n->hash[h] - 1];
    if (field->size == size && memcmp(field->key, key, size) == 0) return n->hash[h] - 1;
  }
  return -1;
}

void schema_node_hash(SchemaNode *n) {
  for (uint32_t i = 0; i < n->count; i++) {
    uint32_t h = hash_of(n->fields[i].key, n->fields[i].size) & n->hash_mask;
    while (n->hash[h]) h = (h + 1) & n->hash_mask;
    n->hash[h] = (uint16_t)(i + 1);
    if (n->after) n->after[i] = (uint16_t)i;
  }
  if (n->after) n->after[n->count] = 0;
}

size_t schema_node_characters(const char *s, size_t size) {
  size_t count = 0;
  for (size_t i = 0; i < size; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
  return count;
}
