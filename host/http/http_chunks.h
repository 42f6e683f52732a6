/* Reads a chunked body (RFC 9112 section 7.1), for server and client. llhttp accepts some invalid
   extensions and refuses some valid ones, depending on its version.

   It is strict: lines end with CRLF, and each byte of a chunk's line and of a trailer is checked.
   An error is found at the same byte however the input is split. */
#ifndef ML_HTTP_CHUNKS_H
#define ML_HTTP_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

enum { HTTP_CHUNKS_MAX_LINE = 16 * 1024 }; /* bytes of a chunk's size and its extensions */

typedef enum HttpChunksStep {
  HTTP_CHUNKS_MORE, /* all bytes are read */
  HTTP_CHUNKS_DATA, /* a piece of the body */
  HTTP_CHUNKS_OVER, /* the body is complete */
  HTTP_CHUNKS_BAD,  /* malformed */
  HTTP_CHUNKS_LONG, /* too many extensions, or too many chunks for so few bytes */
  HTTP_CHUNKS_LONG_TRAILERS,
} HttpChunksStep;

typedef struct HttpChunks {
  uint64_t left;     /* bytes of data left in the chunk */
  uint64_t spare;    /* bytes other than data that may still come */
  uint32_t line;     /* bytes of the chunk's line so far; for trailers, see there */
  uint32_t trailers; /* lines that may still come */
  uint8_t state;
} HttpChunks;

/* Begins a body. Everything that is not data may take `spare` bytes, and eight more for each byte
   of data. */
void http_chunks_open(HttpChunks *c, uint64_t spare, uint32_t max_trailers);

/* Continues at `*p`, which moves towards `end`. HTTP_CHUNKS_DATA has `*n` bytes at `*data`; call
   again. Trailers are discarded. */
HttpChunksStep http_chunks_read(HttpChunks *c, const char **p, const char *end, const char **data,
                                size_t *n);

#endif
