#include "sql/pg/pg_reader.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL = 64 << 10, LARGEST_KEPT = 1 << 20, HEAD = PG_READER_HEAD };

static void release(PgBlock *block) {
  if (block && --block->refs == 0) free(block);
}

void pg_reader_release(PgSlice *slice) {
  release(slice->block);
  slice->block = NULL;
}

void pg_reader_forget(PgInput *in) {
  release(in->block);
  *in = (PgInput){0};
}

/* A new block with the bytes that have not been handed out. One that nobody else has grows where it
   is if the system can do that: a long reply is not copied each time. */
static bool replace(PgInput *in, size_t least) {
  PgBlock *old = in->block, *block;
  size_t part = old ? old->len - in->from : 0;
  size_t cap = 2 * part + least > USUAL ? 2 * part + least : USUAL;
  bool is_ours = old && old->refs == 1;
  if (is_ours && part && in->from) memmove(old->data, old->data + in->from, part);
  block = is_ours ? realloc(old, sizeof *block + cap) : malloc(sizeof *block + cap);
  if (is_ours) { /* also where there is no memory: the bytes have moved */
    in->block = block ? block : old;
    in->block->len = part;
    in->at -= in->from;
    in->from = 0;
    if (block) block->cap = cap;
    return block;
  }
  if (!block) return false;
  *block = (PgBlock){.refs = 1, .len = part, .cap = cap};
  if (part) memcpy(block->data, old->data + in->from, part);
  release(old);
  in->block = block;
  in->at -= in->from;
  in->from = 0;
  return true;
}

bool pg_reader_reserve(PgInput *in, size_t least) {
  PgBlock *block = in->block;
  if (!block) return replace(in, least);
  if (block->refs == 1 && in->from == block->len) {
    if (block->cap > LARGEST_KEPT && least < block->cap / 4) return replace(in, least);
    block->len = in->from = in->at = 0;
  }
  if (block->cap - block->len >= least) return true;
  if (block->refs > 1 || block->len - in->from > in->from) return replace(in, least);
  memmove(block->data, block->data + in->from, block->len - in->from);
  block->len -= in->from;
  in->at -= in->from;
  in->from = 0;
  return block->cap - block->len >= least || replace(in, least);
}

/* Which types a server sends (manual, 55.7) once a client has logged in. */
static bool is_type(char type) {
#define BIT(c) ((uint64_t)1 << ((c)&63))
  static const uint64_t types[2] = {BIT('1') | BIT('2') | BIT('3'),
                                    BIT('A') | BIT('C') | BIT('D') | BIT('E') | BIT('G') |
                                        BIT('H') | BIT('I') | BIT('K') | BIT('N') | BIT('R') |
                                        BIT('S') | BIT('T') | BIT('W') | BIT('Z') | BIT('c') |
                                        BIT('d') | BIT('n') | BIT('s') | BIT('t') | BIT('v')};
#undef BIT
  return (unsigned char)type < 128 && types[(unsigned char)type >> 6] >> (type & 63) & 1;
}

void pg_reader_drop(PgInput *in) {
  in->drops = in->wants;
  in->block->len = in->from = in->at;
}

/* Steps over what is to be dropped. Is there more of it to come? */
static bool drop(PgInput *in) {
  size_t there = in->block->len - in->at, n = in->drops < there ? in->drops : there;
  in->drops -= n;
  in->wants = in->drops;
  in->from = in->at += n;
  return in->drops;
}

PgFound pg_reader_next(PgInput *in, PgMessage *message) {
  in->wants = 0;
  if (in->drops && drop(in)) return PG_READER_MORE;
  size_t n = in->block ? in->block->len - in->at : 0;
  if (n < HEAD) {
    if (n && !is_type(in->block->data[in->at])) return PG_READER_BAD;
    return PG_READER_MORE;
  }
  const char *head = in->block->data + in->at;
  size_t len = pg_wire_get32(head + 1);
  if (!is_type(*head) || len < 4 || len > PG_READER_MAX) return PG_READER_BAD;
  if (n < len + 1) {
    in->wants = len + 1 - n;
    return PG_READER_MORE;
  }
  *message = (PgMessage){.type = *head, .body = head + HEAD, .len = len - 4};
  in->at += len + 1;
  return PG_READER_MESSAGE;
}

PgSlice pg_reader_take(PgInput *in) {
  PgSlice slice = {.block = in->block, .from = in->from, .to = in->at};
  in->block->refs++;
  in->from = in->at;
  return slice;
}

const char *pg_reader_field(const PgMessage *message, char field) {
  const char *at = message->body, *end = at + message->len;
  while (at < end && *at) {
    char name = *at++;
    const char *stop = memchr(at, 0, (size_t)(end - at));
    if (!stop) return NULL;
    if (name == field) return at;
    at = stop + 1;
  }
  return NULL;
}
