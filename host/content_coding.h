/* Content codings (RFC 9110 section 8.4.1): gzip and deflate (zlib), br (brotli, RFC 7932), as
   streams, both ways. A coder belongs to one thread at a time. */
#ifndef ML_CONTENT_CODING_H
#define ML_CONTENT_CODING_H

#include "buffer.h"

typedef enum ContentCoding {
  CODING_GZIP,
  CODING_DEFLATE, /* only decoded: the zlib format, and the bare one that some servers send */
  CODING_BROTLI,
} ContentCoding;

typedef enum CodingResult {
  CODING_DONE,      /* all of the input has been used */
  CODING_FULL,      /* the limit is reached, and there may be more: call again */
  CODING_MALFORMED, /* the input is not of this coding, or ends too early */
  CODING_NO_MEMORY,
} CodingResult;

typedef struct ContentCoder ContentCoder;

/* The coding called `name` in Content-Encoding, whatever its case ("x-gzip" is gzip). False when it
   is none of those above. */
bool content_coding_find(const char *name, size_t n, ContentCoding *coding);

/* Starts encoding, with a level from 1 (fast) to 9 (small), 0 for the usual one. NULL when memory
   is out, and for deflate. The caller frees it with content_coder_free. */
ContentCoder *content_encoder_new(ContentCoding coding, int level);

/* Starts decoding. NULL when memory is out. */
ContentCoder *content_decoder_new(ContentCoding coding);

/* Codes the bytes [*bytes, *bytes + *n), which move on by what was used, and appends what comes out
   to `out`, until that holds `limit` bytes (SIZE_MAX: no limit). For CODING_FULL call again with
   what is left, if only nothing, and a higher limit or an emptied `out`. Who decodes into one piece
   of at most N bytes passes N + 1: a few bytes can stand for gigabytes. After another result than
   DONE and FULL the coder can only be freed. */
CodingResult content_coder_feed(ContentCoder *c, const char **bytes, size_t *n, Buffer *out,
                                size_t limit);

/* Encoding: appends all that is needed to decode what has been fed so far. It costs a few bytes. */
CodingResult content_coder_flush(ContentCoder *c, Buffer *out);

/* The input is over. Encoding appends the end. Decoding appends nothing; it fails when the stream
   has not come to its end. No input at all is taken for an empty content. */
CodingResult content_coder_finish(ContentCoder *c, Buffer *out);

/* Appends the whole of a content, encoded: cheaper than a coder for small ones. */
CodingResult content_encode(ContentCoding coding, int level, const char *bytes, size_t n,
                            Buffer *out);

/* Frees it at any time; NULL does nothing. */
void content_coder_free(ContentCoder *c);

#endif
