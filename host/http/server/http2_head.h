/* The head of a request: fields of HTTP/2 (RFC 9113 section 8) become the head of an HTTP/1.1
   request, which is then read as any other. Nothing that could be read differently there gets
   through: each field is checked, the server writes what frames the body, and there is one Host.

   It has no session, so that a fuzzer can drive it. */
#ifndef ML_HTTP2_HEAD_H
#define ML_HTTP2_HEAD_H

#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

/* The parts of a head that is coming; the memory is used again for the next one. */
typedef struct Http2Head {
  Buffer method, path, authority, cookies;
  size_t max;    /* bytes: of what is beyond this, only the start is kept */
  size_t total;  /* bytes of all fields */
  bool has_line; /* the request line is written */
  bool has_length;
  bool is_head; /* the method is HEAD */
} Http2Head;

typedef enum Http2Field {
  HTTP2_FIELD_OK,
  HTTP2_FIELD_BAD,       /* the request is malformed (section 8.1.1) */
  HTTP2_FIELD_NO_MEMORY, /* or far more than allowed */
} Http2Field;

/* Begins a head of at most `max` bytes; one that is longer stays so long that it is refused. */
void http2_head_begin(Http2Head *h, size_t max);

/* The next field. What can be written is put into `out`. */
Http2Field http2_head_add(Http2Head *h, Buffer *out, const char *name, size_t name_len,
                          const char *value, size_t value_len);

/* The same for a field that nobody asks for: it only counts. */
Http2Field http2_head_skip(Http2Head *h, size_t name_len, size_t value_len);

/* No field follows; a body does if `has_body`. `*chunked`: it has to be sent in chunks. */
Http2Field http2_head_end(Http2Head *h, Buffer *out, bool has_body, bool *chunked);

/* It is over: memory that an ordinary one does not need is freed. */
void http2_head_done(Http2Head *h);

/* Bytes of memory that it has. */
size_t http2_head_size(const Http2Head *h);

/* How many bytes at the end of the lines the server has added: scripts do not see them. */
size_t http2_head_own(bool chunked);

void http2_head_free(Http2Head *h);

#endif
