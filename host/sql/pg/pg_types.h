/* PostgreSQL's values and Lua's. Results come in the binary format where that is exact and cheap,
   else as text; a column's format is chosen when its statement is described. */
#ifndef ML_PG_TYPES_H
#define ML_PG_TYPES_H

#include "base/buffer.h"

#include <lua.h>
#include <stdint.h>

/* How values become Lua's: options of ml.sql.open. */
typedef struct PgTypeOptions {
  bool nulls;          /* NULL is ml.sql.null, not absent */
  bool numeric_number; /* numeric is a number, not text */
  bool time_text;      /* timestamptz is RFC 3339, not seconds */
} PgTypeOptions;

typedef struct PgColumn {
  uint32_t oid;
  uint8_t format;           /* 0: text, 1: binary */
  uint8_t decoder, element; /* of pg_types.c */
} PgColumn;

/* Chooses the format for a column of this type. */
void pg_types_choose(PgColumn *column, uint32_t oid);

/* The column has come in this format. */
void pg_types_set(PgColumn *column, uint32_t oid, uint8_t format);

/* The type of the elements of an array of this type; 0: it is none. */
uint32_t pg_types_element(uint32_t oid);

/* Pushes the value in `bytes`; what cannot be read as what it should be is pushed as it is. Raises
   a memory error. */
void pg_types_push(lua_State *L, const PgColumn *column, const char *bytes, size_t len,
                   const PgTypeOptions *options);

/* Pushes what stands for NULL in lists, and with `nulls`. */
void pg_types_push_null(lua_State *L);

/* Appends the value at the absolute `index` as a parameter of this type, 0 where it is not known:
   its length and its bytes, in `*format`. False where it cannot be one: then `why` is what it is,
   or "" where memory is out. Raises nothing but memory errors of Lua's. */
bool pg_types_encode(lua_State *L, int index, uint32_t oid, Buffer *out, uint16_t *format,
                     char why[400]);

#endif
