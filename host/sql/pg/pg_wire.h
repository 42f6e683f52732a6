/* Messages of PostgreSQL's protocol 3 that a client sends (manual, 55.7). All return false when
   memory is out, and have appended nothing then. */
#ifndef ML_PG_WIRE_H
#define ML_PG_WIRE_H

#include "base/buffer.h"

#include <endian.h>
#include <stdint.h>

static inline void pg_wire_put16(char *at, uint16_t value) {
  value = htobe16(value);
  memcpy(at, &value, 2);
}
static inline void pg_wire_put32(char *at, uint32_t value) {
  value = htobe32(value);
  memcpy(at, &value, 4);
}
static inline void pg_wire_put64(char *at, uint64_t value) {
  value = htobe64(value);
  memcpy(at, &value, 8);
}
static inline uint16_t pg_wire_get16(const char *at) {
  uint16_t value;
  memcpy(&value, at, 2);
  return be16toh(value);
}
static inline uint32_t pg_wire_get32(const char *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return be32toh(value);
}
static inline uint64_t pg_wire_get64(const char *at) {
  uint64_t value;
  memcpy(&value, at, 8);
  return be64toh(value);
}

/* The name of a prepared statement: "s12". 0 is the unnamed one. Returns its length with the NUL.
 */
enum { PG_WIRE_NAME = 24 };
size_t pg_wire_name(char name[PG_WIRE_NAME], uint64_t serial);

/* Parse: prepares `sql` under the name; `oids` of its `n` parameters. */
bool pg_wire_parse(Buffer *b, uint64_t serial, const char *sql, size_t len, const uint32_t *oids,
                   unsigned n);

/* Describe, of a prepared statement 'S' or the unnamed portal 'P'. */
bool pg_wire_describe(Buffer *b, char what, uint64_t serial);

/* Close, of a prepared statement. */
bool pg_wire_close(Buffer *b, uint64_t serial);

/* Execute, of the portal whose name is "" or a number: at most `rows`, 0 for all. */
bool pg_wire_execute(Buffer *b, uint64_t portal, uint32_t rows);

/* Execute of the portal "" for all rows, then Sync. */
bool pg_wire_execute_all(Buffer *b);

/* Close, of a portal. */
bool pg_wire_close_portal(Buffer *b, uint64_t portal);

/* Sync 'S', Flush 'H', CopyDone 'c', Terminate 'X': messages without a body. */
bool pg_wire_bare(Buffer *b, char type);

/* Query 'Q', CopyFail 'f': a text. */
bool pg_wire_text(Buffer *b, char type, const char *text, size_t len);

/* A message of the type begins; pg_wire_end writes the length of what was appended since. */
bool pg_wire_begin(Buffer *b, char type, size_t *start);
void pg_wire_end(Buffer *b, size_t start);

#endif
