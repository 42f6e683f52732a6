/* What a server sends, found in bytes that come cut anywhere: blocks of bytes, which live as long
   as somebody has a slice of them, and the messages in them. Replies stay where they were read
   until their task makes Lua values of them. */
#ifndef ML_PG_READER_H
#define ML_PG_READER_H

#include "sql/pg/pg_wire.h"

#include <stdbool.h>

enum { PG_READER_HEAD = 5 }; /* bytes: type and length */

/* Bytes of one message. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define PG_READER_MAX ((size_t)1 << 20)
#else
#define PG_READER_MAX ((size_t)1 << 30)
#endif

typedef struct PgBlock {
  unsigned refs;
  size_t len, cap;
  char data[];
} PgBlock;

/* Whole messages, one behind the other; it holds its block. */
typedef struct PgSlice {
  PgBlock *block;
  size_t from, to;
} PgSlice;

/* Where bytes are read to. All zero has no block yet. */
typedef struct PgInput {
  PgBlock *block;
  size_t from;  /* where begins what has not been handed out */
  size_t at;    /* where the next message begins */
  size_t wants; /* bytes of it that are known to be still to come */
  size_t drops; /* bytes still to come that nobody wants */
} PgInput;

/* A message: `len` bytes behind its type and length. */
typedef struct PgMessage {
  const char *body;
  size_t len;
  char type;
} PgMessage;

typedef enum PgFound { PG_READER_MORE, PG_READER_MESSAGE, PG_READER_BAD } PgFound;

/* Makes room for at least `least` more bytes behind the last one. False when memory is out. */
bool pg_reader_reserve(PgInput *in, size_t least);

/* The message at in->at, and steps over it. */
PgFound pg_reader_next(PgInput *in, PgMessage *message);

/* Hands out what lies between in->from and in->at. */
PgSlice pg_reader_take(PgInput *in);

/* Nobody wants that. */
static inline void pg_reader_skip(PgInput *in) { in->from = in->at; }

/* Nobody wants the message at in->at either, which has not come to its end: it is dropped as it
   comes. */
void pg_reader_drop(PgInput *in);

/* How long is that message, with its head? 0: not known yet, or nobody wants it. */
static inline size_t pg_reader_length(const PgInput *in) {
  return in->wants && !in->drops ? in->block->len - in->at + in->wants : 0;
}

/* Lets the block go. */
void pg_reader_release(PgSlice *slice);
void pg_reader_forget(PgInput *in);

/* The next message of a slice: from slice->from on, which steps over it. False at its end. */
static inline bool pg_reader_step(PgSlice *slice, PgMessage *message) {
  if (slice->from >= slice->to) return false;
  const char *head = slice->block->data + slice->from;
  size_t len = pg_wire_get32(head + 1);
  *message = (PgMessage){.type = *head, .body = head + PG_READER_HEAD, .len = len - 4};
  slice->from += len + 1;
  return true;
}

/* A field of an ErrorResponse or a NoticeResponse: 'C' is the SQLSTATE. NULL: it has none. */
const char *pg_reader_field(const PgMessage *message, char field);

#endif
