/* Reading HTTP/1 requests: bytes in, one parsed request at a time out. It knows no socket, so that
   a fuzzer can drive it. llhttp finds the frame, but of the most ordinary requests; what it leaves
   to a server (RFC 9112 sections 3.2 and 6, limits) is checked here in one pass over the head,
   whose bytes stay in one piece. */
#ifndef ML_HTTP_REQUEST_H
#define ML_HTTP_REQUEST_H

#include "buffer_pool.h"
#include "http_header.h"
#include "http_limits.h"
#include <llhttp.h>
#include <stdint.h>

typedef enum HttpProgress {
  HTTP_MORE,      /* waits for bytes */
  HTTP_HEAD_READ, /* the head of a request with a body (or an expectation): set `max_body`, go on */
  HTTP_COMPLETE,  /* a whole request */
  HTTP_BAD,       /* `error_status` and `error_detail` say why; nothing more can be read */
} HttpProgress;

/* A piece of the head: offsets from http_request_head(). */
typedef struct HttpSpan {
  uint32_t at, len;
} HttpSpan;

typedef struct HttpRequest {
  llhttp_t parser;
  const HttpLimits *limits;
  BufferPool *pool, *large_pool; /* lend `in` and `body` while there is a request */
  Buffer in;                     /* received bytes; [start..) is not done with */
  size_t start;                  /* where the current request begins in `in` */
  size_t parsed;                 /* how much of it the parser has seen, from `start` */

  /* The current request; valid from HTTP_HEAD_READ or HTTP_COMPLETE until http_request_next. */
  HttpSpan target;  /* as sent */
  HttpSpan path;    /* still encoded */
  HttpSpan query;   /* still encoded, without '?' */
  HttpSpan headers; /* lines "Name: value\r\n", checked */
  uint8_t method;   /* an llhttp_method */
  uint8_t minor;    /* HTTP/1.minor */
  bool keep_alive;  /* the client's wish */
  bool was_last;    /* nothing may follow the request before this one */
  bool expects;     /* it waits for "100 Continue" */
  bool chunked;
  bool path_escaped; /* the path has a '%' */
  bool no_path;      /* the target is no resource: OPTIONS *, CONNECT host:port */
  bool body_is_here; /* all of it follows the head that was read, without llhttp */
  uint64_t content_length;
  Buffer body;         /* decoded; its owner may take what is there while more comes */
  uint64_t body_total; /* decoded bytes in all */
  uint64_t max_body;

  enum { REQUEST_IDLE, REQUEST_IN_HEAD, REQUEST_IN_BODY, REQUEST_COMPLETE } state;
  size_t body_raw; /* bytes of the body as sent, framing included */
  bool in_place;   /* the bytes being parsed lie behind those of `body`, in its memory */
  uint16_t error_status;
  const char *error_detail; /* a literal */
} HttpRequest;

/* Prepares an all-zero request for a new connection. It must not be moved afterwards; the limits
   and the pools outlive it. The buffers of `large_pool` are for what those of `pool` cannot hold.
 */
void http_request_open(HttpRequest *r, const HttpLimits *limits, BufferPool *pool,
                       BufferPool *large_pool);

/* Gives `in` or `body` back before the request is over; it is empty then. */
static inline void http_request_give(HttpRequest *r, Buffer *b) {
  buffer_pool_give(b->cap == r->large_pool->size ? r->large_pool : r->pool, b);
}

/* Gives the buffers back. */
void http_request_close(HttpRequest *r);

/* Takes `n` bytes, which may have been read to where the body ends (body.data + body.len): what is
   the body's stays there, uncopied. When a request is complete already, they are only kept (see
   http_request_pending). Bad requests leave error_status set. */
HttpProgress http_request_feed(HttpRequest *r, const char *bytes, size_t n);

/* Keeps `n` bytes for later without parsing. False when memory is out. */
bool http_request_keep(HttpRequest *r, const char *bytes, size_t n);

/* Goes on with the bytes that are there: after HTTP_HEAD_READ, or after http_request_next. */
HttpProgress http_request_parse(HttpRequest *r);

/* Drops the complete request and makes ready for the next one. */
void http_request_next(HttpRequest *r);

/* How many received bytes wait behind the current request. */
static inline size_t http_request_pending(const HttpRequest *r) {
  return r->in.len - r->start - r->parsed;
}

/* The bytes that the spans count from. Moves with every feed. */
static inline const char *http_request_head(const HttpRequest *r) { return r->in.data + r->start; }

#endif
