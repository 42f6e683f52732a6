/* A JSON text that is being read; between the files of the decoder (json_decode*.c). */
#ifndef ML_JSON_DECODER_H
#define ML_JSON_DECODER_H

#include "json.h"

typedef struct Decoder {
  lua_State *L;
  const char *start, *p, *end;
  int array_mark; /* stack index of the metatable of arrays, or of nil before the first one */
  int depth;
  JsonError *error;
} Decoder;

/* --- json_decode_error.c: all return false --- */

/* Fails at the byte `at`, which gives line and column. */
__attribute__((format(printf, 3, 4))) bool json_fail(Decoder *d, const char *at, const char *format,
                                                     ...);

/* Fails because of what stands at `at` where `wanted` should. */
bool json_unexpected(Decoder *d, const char *at, const char *wanted);

/* Raises Lua's error: the text is not to blame. */
bool json_out_of_memory(Decoder *d);

/* --- json_decode_string.c --- */

/* At an opening quote: pushes the string and moves behind it, or fails. */
bool json_decode_string(Decoder *d);

#endif
