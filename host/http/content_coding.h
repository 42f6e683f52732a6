/* Content codings (RFC 9110 section 8.4.1): gzip and deflate (zlib), br (brotli, RFC 7932), as
   streams, both ways. A coder belongs to one thread at a time. */
#ifndef ML_CONTENT_CODING_H
#define ML_CONTENT_CODING_H

#include "base/buffer.h"

#include <stdatomic.h>

typedef enum ContentCoding {
  CODING_GZIP,
  CODING_DEFLATE, /* decoding only: the zlib format, and the bare one that some servers send */
  CODING_BROTLI,
} ContentCoding;

typedef enum CodingResult {
  CODING_DONE,      /* all of the input has been used */
  CODING_FULL,      /* the limit is reached, and there may be more: call again */
  CODING_MALFORMED, /* the input is not of this coding, or ends too early */
  CODING_NO_MEMORY,
} CodingResult;

typedef struct ContentCoder ContentCoder;

/* The coding called `name` in Content-Encoding, in any case ("x-gzip" is gzip). False if it is not
   one of those above. */
bool content_coding_find(const char *name, size_t n, ContentCoding *coding);

/* Starts encoding, with a level from 1 (fast) to 9 (small), 0 for the default. NULL if memory is
   out, and for deflate. The caller frees it with content_coding_coder_free. */
ContentCoder *content_coding_encoder_new(ContentCoding coding, int level);

/* Starts decoding. NULL when memory is out. */
ContentCoder *content_coding_decoder_new(ContentCoding coding);

/* Codes the bytes [*bytes, *bytes + *n), advances both by what was used, and appends the output to
   `out`, until that holds `limit` bytes (SIZE_MAX: no limit). After CODING_FULL, call again with
   the rest, which may be empty, and a higher limit or an emptied `out`. To decode into one piece of
   at most N bytes, pass N + 1, since a few bytes can decode to gigabytes. After any result but DONE
   and FULL the coder can only be freed. */
CodingResult content_coding_coder_feed(ContentCoder *c, const char **bytes, size_t *n, Buffer *out,
                                       size_t limit);

/* Encoding: appends everything needed to decode what has been fed so far. It costs a few bytes. */
CodingResult content_coding_coder_flush(ContentCoder *c, Buffer *out);

/* Ends the input. Encoding appends the end. Decoding appends nothing, and fails if the stream is
   not complete. No input at all counts as an empty content. */
CodingResult content_coding_coder_finish(ContentCoder *c, Buffer *out);

/* Appends a whole content, encoded: cheaper than a coder for small ones. Leaves off, with
   CODING_FULL, when `abandoned` (NULL: never) becomes true. */
CodingResult content_coding_encode(ContentCoding coding, int level, const char *bytes, size_t n,
                                   const atomic_bool *abandoned, Buffer *out);

/* Frees it at any time; NULL does nothing. */
void content_coding_coder_free(ContentCoder *c);

#endif
