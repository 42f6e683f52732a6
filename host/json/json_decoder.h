/* A JSON text that is being read: the parts of the decoder. json_decode reads any value; a schema's
   decoder (schema_decode.c) knows more of what comes, and reads all else with these. */
#ifndef ML_JSON_DECODER_H
#define ML_JSON_DECODER_H

#include "json/json.h"

typedef struct Decoder {
  lua_State *L;
  const char *start, *p, *end;
  int array_mark; /* stack index of the metatable of arrays, or of nil before the first one */
  int depth;
  JsonError *error;
} Decoder;

/* Elements (or members) kept on the Lua stack until their number is known, so that their table is
   made with its final size. */
#define JSON_PENDING_MAX 256

/* Stack slots requested every eight members, or sixteen elements: for those, and for collecting
   them. */
#define JSON_STACK_ROOM 24

/* --- json_decoder_error.c: all return false --- */

/* Fails at the byte `at`, which gives line and column. */
__attribute__((format(printf, 3, 4))) bool json_decoder_fail(Decoder *d, const char *at,
                                                             const char *format, ...);

/* Fails because `wanted` is missing at `at`. */
bool json_decoder_unexpected(Decoder *d, const char *at, const char *wanted);

/* Raises Lua's error: the text is not to blame. */
bool json_decoder_out_of_memory(Decoder *d);

/* --- json_decoder_value.c --- */

/* At the first character of a value: pushes it and moves behind it, or fails with whatever has been
   pushed still there. */
bool json_decoder_value(Decoder *d);

/* Replaces the slot `table` by an array of the `count` values above it. */
void json_decoder_collect(lua_State *L, int table, int count);

/* The same by an object of the `count` keys and values above it, in their order, so that of equal
   keys the last wins. The table has room for `room` members. */
void json_decoder_collect_object(lua_State *L, int table, int count, int room);

/* Marks the table as an array. */
void json_decoder_mark_array(Decoder *d, int table);

static inline const char *json_decoder_skip_space(const char *p, const char *end) {
  while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
  return p;
}

/* At an opening bracket or brace: checks the depth, makes room, and moves past it. Reserves a stack
   slot for the table. */
static inline bool json_decoder_enter(Decoder *d) {
  if (++d->depth > JSON_MAX_DEPTH)
    return json_decoder_fail(d, d->p, "nested deeper than %d levels", JSON_MAX_DEPTH);
  if (!lua_checkstack(d->L, JSON_STACK_ROOM)) return json_decoder_out_of_memory(d);
  lua_pushnil(d->L);
  d->p = json_decoder_skip_space(d->p + 1, d->end);
  return true;
}

/* After an element: 1 at a comma (moved to the next element), 0 at `close` (moved past it), or
   -1. */
static inline int json_decoder_next(Decoder *d, char close) {
  const char *p = json_decoder_skip_space(d->p, d->end);
  if (p < d->end && *p == ',') {
    d->p = json_decoder_skip_space(p + 1, d->end);
    return 1;
  }
  if (p < d->end && *p == close) {
    d->p = p + 1;
    d->depth--;
    return 0;
  }
  json_decoder_unexpected(d, p, close == ']' ? "',' or ']'" : "',' or '}'");
  return -1;
}

/* --- json_decoder_string.c --- */

/* At an opening quote: pushes the string and moves past it, or fails. */
bool json_decoder_string(Decoder *d);

/* At a member of an object: pushes its key and moves to its value, or fails. `is_first`: the object
   could also end here. */
static inline bool json_decoder_key(Decoder *d, bool is_first) {
  if (d->p >= d->end || *d->p != '"')
    return json_decoder_unexpected(d, d->p,
                                   is_first ? "a key in quotes or '}'" : "a key in quotes");
  if (!json_decoder_string(d)) return false;
  d->p = json_decoder_skip_space(d->p, d->end);
  if (d->p >= d->end || *d->p != ':') return json_decoder_unexpected(d, d->p, "':'");
  d->p = json_decoder_skip_space(d->p + 1, d->end);
  return true;
}

#endif
