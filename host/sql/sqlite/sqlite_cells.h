/* Values between the loop and SQLite's threads: cells, one behind the other in a buffer. A cell is
   a byte that says its type and then the value: parameters one way, rows the other. */
#ifndef ML_SQLITE_CELLS_H
#define ML_SQLITE_CELLS_H

#include "base/buffer.h"
#include <stdint.h>
#include <string.h>

typedef enum SqliteCell {
  SQLITE_CELL_NULL,
  SQLITE_CELL_INTEGER, /* 8 bytes */
  SQLITE_CELL_FLOAT,   /* 8 bytes */
  SQLITE_CELL_TEXT,    /* 4 bytes for the length, and the text */
  SQLITE_CELL_BLOB     /* the same */
} SqliteCell;

/* The most that one takes without its text. */
#define SQLITE_CELL_SIZE 9

/* There must be room: buffer_reserve for SQLITE_CELL_SIZE. */
static inline void sqlite_cells_put_null(Buffer *b) { b->data[b->len++] = SQLITE_CELL_NULL; }
static inline void sqlite_cells_put_integer(Buffer *b, int64_t value) {
  b->data[b->len] = SQLITE_CELL_INTEGER;
  memcpy(b->data + b->len + 1, &value, 8);
  b->len += 9;
}
static inline void sqlite_cells_put_float(Buffer *b, double value) {
  b->data[b->len] = SQLITE_CELL_FLOAT;
  memcpy(b->data + b->len + 1, &value, 8);
  b->len += 9;
}

/* Makes room itself. False when memory is out. */
static inline bool sqlite_cells_put_bytes(Buffer *b, SqliteCell type, const void *bytes,
                                          size_t len) {
  if (!buffer_reserve(b, SQLITE_CELL_SIZE + len)) return false;
  uint32_t n = (uint32_t)len;
  b->data[b->len] = (char)type;
  memcpy(b->data + b->len + 1, &n, 4);
  if (len) memcpy(b->data + b->len + 5, bytes, len);
  b->len += 5 + len;
  return true;
}

/* Reads what follows the type, and steps over it. */
static inline int64_t sqlite_cells_take_integer(const char **at) {
  int64_t value;
  memcpy(&value, *at, 8);
  *at += 8;
  return value;
}
static inline double sqlite_cells_take_float(const char **at) {
  double value;
  memcpy(&value, *at, 8);
  *at += 8;
  return value;
}
static inline const char *sqlite_cells_take_bytes(const char **at, size_t *len) {
  uint32_t n;
  memcpy(&n, *at, 4);
  const char *bytes = *at + 4;
  *at = bytes + n;
  *len = n;
  return bytes;
}

#endif
