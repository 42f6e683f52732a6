/* A response of HTTP/1.1, as http_response.c and http_stream.c write it, taken apart again: its
   head becomes fields of HTTP/2, its body loses the framing.

   It has no session, so that a fuzzer can drive it. */
#ifndef ML_HTTP2_REPLY_H
#define ML_HTTP2_REPLY_H

#include "http/http_chunks.h"
#include <nghttp2/nghttp2.h>
#include <stdbool.h>

enum {
  HTTP2_REPLY_FIELDS = 256,
  HTTP2_REPLY_NAMES = 8 * 1024 /* bytes of all names */
};

typedef enum Http2ReplyState {
  HTTP2_REPLY_HEAD,    /* the head is to come */
  HTTP2_REPLY_LENGTH,  /* a body of `left` bytes */
  HTTP2_REPLY_CHUNKED, /* a body in chunks */
  HTTP2_REPLY_OVER,    /* it is complete */
} Http2ReplyState;

/* All zero: nothing has come. */
typedef struct Http2Reply {
  uint64_t left;
  HttpChunks chunks;
  Http2ReplyState state : 8;
  bool is_head; /* answers HEAD: set before the head is read */
} Http2Reply;

/* The fields of a head. */
typedef struct Http2Fields {
  nghttp2_nv list[HTTP2_REPLY_FIELDS];
  size_t n;
  char names[HTTP2_REPLY_NAMES + 8]; /* they are written in eights */
  size_t names_len;
  int status; /* below 200: another head follows */
} Http2Fields;

/* Reads a whole head at the start of `n` bytes, into which `f` points then. Returns its length, or
   0 if it is not complete or has too many fields. */
size_t http2_reply_head(Http2Reply *r, const char *bytes, size_t n, Http2Fields *f);

/* nghttp2 need not copy the fields: they are sent before `f` or what it points into is gone. */
void http2_reply_lend(Http2Fields *f);

/* Reads of the body from `*p` on, which moves towards `end`, at most `n` bytes into `to`. Returns
   their number; r->state says whether it was the last of them. */
size_t http2_reply_body(Http2Reply *r, const char **p, const char *end, char *to, size_t n);

#endif
