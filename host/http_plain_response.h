/* Reading an HTTP/1 response: bytes in, head and body out. It knows no socket, so that a fuzzer can
   drive it. llhttp finds the frame; what it leaves to a client (RFC 9112 sections 6 and 7, limits)
   is checked here. */
#ifndef ML_HTTP_PLAIN_RESPONSE_H
#define ML_HTTP_PLAIN_RESPONSE_H

#include "buffer.h"
#include "content_coding.h"
#include <llhttp.h>
#include <stdint.h>

enum {
  PLAIN_MAX_HEAD = 256 * 1024, /* bytes of all heads and trailers of one response */
  PLAIN_MAX_FIELDS = 1000,     /* their lines */
};

typedef struct PlainResponse {
  size_t max_body;   /* bytes, decoded; SIZE_MAX: any number */
  unsigned status;   /* when head_read */
  bool by_pieces;    /* the body is taken with plain_response_take */
  bool answers_head; /* the request was HEAD: there is no body */
  bool began;        /* a byte has come */
  bool head_read;    /* `status` and `head` are complete */
  bool complete;
  bool keep_alive; /* valid when complete: the connection can carry another exchange */
  bool coder_full; /* it has more to give without more input */
  bool value_cut;  /* the bytes fed before ended in the middle of a value */
  bool chunked, coded, coded_twice;
  ContentCoding coding;
  ContentCoder *coder; /* or NULL */

  /* What is wrong, or NULL: the three words of an error object. */
  const char *error_kind, *error_code, *error;

  size_t taken;
  size_t given; /* decoded bytes that were taken */
  size_t head_size, extension_size, fields;
  size_t name_at, value_at;
  const char *span_end; /* of the field value read last, in the bytes being fed */
  const char *feed_at;

  /* What follows is not zero in a new one. */
  Buffer head;     /* the fields, "name: value\r\n" each, names in lower case */
  Buffer body;     /* decoded; with `by_pieces`, as it came, from `taken` on */
  llhttp_t parser; /* once it is used */
  char error_text[80];
} PlainResponse;

/* Prepares for a response; the buffers of the one before are used again. All zero is a response
   that was never opened. It must not be moved. */
void plain_response_open(PlainResponse *r, bool answers_head, size_t max_body, bool by_pieces);

/* Forgets what was read; small buffers are kept. */
void plain_response_reset(PlainResponse *r);

/* Frees everything. */
void plain_response_close(PlainResponse *r);

/* Takes `n` bytes, until the response is complete. False when it is bad: `error` says why, and
   nothing more can be read. Bytes behind its end are thrown away, and it is not `keep_alive`. */
bool plain_response_feed(PlainResponse *r, const char *bytes, size_t n);

/* The connection has ended. False when the response is not complete with that. */
bool plain_response_end(PlainResponse *r);

/* A body in pieces of which none was taken is to be in one piece. False when it is bad. */
bool plain_response_collect(PlainResponse *r, size_t max_body);

/* Of a body in pieces: bytes that wait to be taken, as they came. */
static inline size_t plain_response_waiting(const PlainResponse *r) {
  return r->body.len - r->taken;
}

/* Is there something to be taken, or nothing more to come? */
static inline bool plain_response_has_piece(const PlainResponse *r) {
  return r->taken < r->body.len || r->coder_full || r->complete || r->error;
}

/* Appends up to `max` decoded bytes of a body in pieces to `out`; it may be none. False when it is
   bad: `error` says why. */
bool plain_response_take(PlainResponse *r, Buffer *out, size_t max);

#endif
