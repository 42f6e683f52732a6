#include "sql/pg/pg_wire.h"

#include <stdio.h>

size_t pg_wire_name(char name[PG_WIRE_NAME], uint64_t serial) {
  if (!serial) {
    name[0] = 0;
    return 1;
  }
  char digits[PG_WIRE_NAME];
  size_t n = 0;
  for (; serial; serial /= 10) digits[n++] = (char)('0' + serial % 10);
  name[0] = 's';
  for (size_t i = 0; i < n; i++) name[1 + i] = digits[n - 1 - i];
  name[1 + n] = 0;
  return n + 2;
}

bool pg_wire_begin(Buffer *b, char type, size_t *start) {
  if (!buffer_reserve(b, 5)) return false;
  *start = b->len;
  b->data[b->len] = type;
  b->len += 5;
  return true;
}

void pg_wire_end(Buffer *b, size_t start) {
  pg_wire_put32(b->data + start + 1, (uint32_t)(b->len - start - 1));
}

bool pg_wire_parse(Buffer *b, uint64_t serial, const char *sql, size_t len, const uint32_t *oids,
                   unsigned n) {
  char name[PG_WIRE_NAME];
  size_t name_len = pg_wire_name(name, serial), start;
  if (!buffer_reserve(b, 5 + name_len + len + 1 + 2 + 4 * (size_t)n)) return false;
  if (!pg_wire_begin(b, 'P', &start)) return false;
  buffer_add(b, name, name_len);
  buffer_add(b, sql, len);
  buffer_add_char(b, 0);
  pg_wire_put16(b->data + b->len, (uint16_t)n);
  b->len += 2;
  for (unsigned i = 0; i < n; i++, b->len += 4) pg_wire_put32(b->data + b->len, oids[i]);
  pg_wire_end(b, start);
  return true;
}

static bool named(Buffer *b, char type, char what, uint64_t serial) {
  char name[PG_WIRE_NAME];
  size_t name_len = pg_wire_name(name, serial), start;
  if (!buffer_reserve(b, 6 + name_len)) return false;
  if (!pg_wire_begin(b, type, &start)) return false;
  buffer_add_char(b, what);
  buffer_add(b, name, name_len);
  pg_wire_end(b, start);
  return true;
}

bool pg_wire_describe(Buffer *b, char what, uint64_t serial) { return named(b, 'D', what, serial); }
bool pg_wire_close(Buffer *b, uint64_t serial) { return named(b, 'C', 'S', serial); }
bool pg_wire_close_portal(Buffer *b, uint64_t portal) { return named(b, 'C', 'P', portal); }

bool pg_wire_execute(Buffer *b, uint64_t portal, uint32_t rows) {
  char name[PG_WIRE_NAME];
  size_t name_len = pg_wire_name(name, portal), start;
  if (!buffer_reserve(b, 9 + name_len)) return false;
  if (!pg_wire_begin(b, 'E', &start)) return false;
  buffer_add(b, name, name_len);
  pg_wire_put32(b->data + b->len, rows);
  b->len += 4;
  pg_wire_end(b, start);
  return true;
}

bool pg_wire_execute_all(Buffer *b) {
  static const char messages[] = "E\0\0\0\11\0\0\0\0\0S\0\0\0\4";
  return buffer_add(b, messages, sizeof messages - 1);
}

bool pg_wire_bare(Buffer *b, char type) {
  size_t start;
  if (!pg_wire_begin(b, type, &start)) return false;
  pg_wire_end(b, start);
  return true;
}

bool pg_wire_text(Buffer *b, char type, const char *text, size_t len) {
  size_t start;
  if (!buffer_reserve(b, 6 + len)) return false;
  if (!pg_wire_begin(b, type, &start)) return false;
  buffer_add(b, text, len);
  buffer_add_char(b, 0);
  pg_wire_end(b, start);
  return true;
}
