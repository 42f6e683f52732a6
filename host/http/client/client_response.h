/* Reads a response: bytes in, head and body out. It has no socket, so that a fuzzer can drive it.
   For HTTP/1, llhttp does the framing, except for chunks; what it leaves to a client (RFC 9112
   section 6, limits) is checked here. Of HTTP/2 the fields and the body come one by one. */
#ifndef ML_CLIENT_RESPONSE_H
#define ML_CLIENT_RESPONSE_H

#include "base/buffer.h"
#include "http/client/client_limits.h"
#include "http/content_coding.h"
#include "http/http_chunks.h"
#include <llhttp.h>
#include <stdint.h>

typedef struct ClientResponse {
  size_t max_body;   /* most decoded bytes; SIZE_MAX: no limit */
  unsigned status;   /* valid with head_read */
  bool by_pieces;    /* the body is taken with client_response_take */
  bool answers_head; /* the request was HEAD: there is no body */
  bool began;        /* a byte has arrived */
  bool has_line;     /* of HTTP/1: its status line has begun, or that of an interim response */
  bool head_read;    /* `status` and `head` are complete */
  bool complete;
  bool keep_alive; /* valid when complete: the connection can be used again */
  bool coder_full; /* the decoder has more output without more input */
  bool value_cut;  /* the bytes fed last ended in the middle of a value */
  bool chunked, coded, coded_twice;
  bool has_length; /* HTTP/2: there is a Content-Length */
  uint64_t length;
  ContentCoding coding;
  ContentCoder *coder; /* or NULL */

  /* What is wrong, or NULL: three fields of an error object. */
  const char *error_kind, *error_code, *error;

  size_t taken;
  size_t given; /* decoded bytes that were taken */
  size_t head_size, fields;
  size_t name_at, value_at;
  const char *span_end; /* the field value read last, in the bytes being fed */
  const char *feed_at;

  /* The fields below are not zero in a new one. */
  Buffer head;     /* the fields, "name: value\r\n" each, names in lower case */
  Buffer body;     /* as long as there is a `coder`, or with `by_pieces`, as received, from `taken`
                      on */
  Buffer decoded;  /* the beginning of a body that is being decoded */
  llhttp_t parser; /* once it is used */
  HttpChunks chunks; /* for a `chunked` body, once its head is read */
  char error_text[80];
} ClientResponse;

/* Prepares for a response; the buffers of the previous one are reused. All zero is a response that
   was never opened. It must not be moved. */
void client_response_open(ClientResponse *r, bool answers_head, size_t max_body, bool by_pieces);

/* Forgets what was read; small buffers are kept. */
void client_response_reset(ClientResponse *r);

/* Frees everything. */
void client_response_close(ClientResponse *r);

/* Takes `n` bytes, until the response is complete. False if it is bad: `error` says why, and
   nothing more can be read. Bytes after its end are discarded, and clear `keep_alive`. */
bool client_response_feed(ClientResponse *r, const char *bytes, size_t n);

/* The connection has ended. False if that does not complete the response. */
bool client_response_end(ClientResponse *r);

/* Switches a body in pieces, none of which was taken, to one piece. False if it is bad. */
bool client_response_collect(ClientResponse *r, size_t max_body);

/* Has it no body, whatever its fields say (RFC 9112 section 6.3)? `status` is known. */
static inline bool client_response_has_no_body(const ClientResponse *r) {
  return r->answers_head || r->status == 204 || r->status == 304;
}

/* For a body in pieces: bytes that wait to be taken, as received. */
static inline size_t client_response_waiting(const ClientResponse *r) {
  return r->body.len - r->taken;
}

/* Is there something to take, or will nothing more come? */
static inline bool client_response_has_piece(const ClientResponse *r) {
  return r->taken < r->body.len || r->coder_full || r->complete || r->error;
}

/* Appends up to `max` decoded bytes of a body in pieces to `out`, possibly none. False if it is
   bad: `error` says why. */
bool client_response_take(ClientResponse *r, Buffer *out, size_t max);

/* Decodes on in a complete body in one piece, about a millisecond's work; there is no `coder` any
   more once all is. False if it is bad: `error` says why. */
bool client_response_decode(ClientResponse *r);

/* --- HTTP/2 (client_response_http2.c): what nghttp2 has taken apart --- */

/* A header block begins: of an interim response, the response, or its trailers. */
void client_response_begin_block(ClientResponse *r);

/* One field of it, `:status` included; nghttp2 has checked its characters. False if the response is
   bad: `error` says why. */
bool client_response_field(ClientResponse *r, const char *name, size_t n, const char *value,
                           size_t len);

/* The block is complete. False if the response is bad. */
bool client_response_end_block(ClientResponse *r);

/* Adds to the body. False if the response is bad. */
bool client_response_data(ClientResponse *r, const char *bytes, size_t n);

/* The stream has ended, and with it the response. False if it is bad. */
bool client_response_end_stream(ClientResponse *r);

/* Makes it bad: it breaks the protocol's rules. A reason that is known already stays. */
void client_response_refuse(ClientResponse *r, const char *why);

/* --- between client_response.c and client_response_http2.c: each is 0, or -1 with `error` set ---
 */

/* `why` is a literal. */
int client_response_malformed(ClientResponse *r, const char *why);
int client_response_no_memory(ClientResponse *r);

/* Counts bytes of a head, and fields. */
int client_response_count_head(ClientResponse *r, size_t n);
int client_response_count_field(ClientResponse *r);

/* Checks the field from r->name_at on, whose value is from r->value_at on, and ends its line. */
int client_response_end_field(ClientResponse *r);

/* Forgets the fields of an interim response. -1: there have been too many. */
int client_response_forget_head(ClientResponse *r);

/* The head is complete: prepares for a body, whose length is `*length` unless that is NULL. */
int client_response_open_body(ClientResponse *r, const uint64_t *length);

int client_response_add_body(ClientResponse *r, const char *at, size_t n);

#endif
