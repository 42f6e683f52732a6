/* Reads HTTP/1 requests: bytes in, one parsed request at a time out. It has no socket, so that a
   fuzzer can drive it. llhttp does the framing, except for the most ordinary requests and for
   chunks; what it leaves to a server (RFC 9112 sections 3.2 and 6, limits) is checked here in one
   pass over the head, whose bytes stay in one piece.

   The reason for a refusal depends only on the bytes, not on how they are split: the first byte
   that makes the request invalid decides. */
#ifndef ML_HTTP_REQUEST_H
#define ML_HTTP_REQUEST_H

#include "base/buffer_pool.h"
#include "http/http_chunks.h"
#include "http/http_header.h"
#include "http/http_limits.h"
#include <llhttp.h>
#include <stdint.h>

typedef enum HttpProgress {
  HTTP_MORE,      /* waits for bytes */
  HTTP_HEAD_READ, /* the head of a request with a body (or an expectation): set `max_body`, go on */
  HTTP_COMPLETE,  /* a complete request */
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
  Buffer in;                     /* received bytes; those from `start` on are not consumed */
  size_t start;                  /* start of the current request in `in` */
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
  bool expects;     /* the client waits for "100 Continue" */
  bool chunked;
  bool has_traceparent; /* among `headers` */
  bool path_escaped;    /* the path has a '%' */
  bool no_path;         /* the target is not a resource: OPTIONS *, CONNECT host:port */
  bool body_is_here;    /* the whole request is there, and the head was read without llhttp */
  uint64_t content_length;
  Buffer body;         /* decoded; its owner may take bytes while more arrive */
  uint64_t body_total; /* decoded bytes in total */
  uint64_t max_body;

  enum { REQUEST_IDLE, REQUEST_IN_HEAD, REQUEST_IN_BODY, REQUEST_COMPLETE } state;
  HttpChunks chunks; /* for a `chunked` body */
  size_t body_raw;   /* bytes of the body as sent, framing included */
  bool in_place;     /* the bytes being parsed are after those of `body`, in its memory */
  uint8_t undecided; /* llhttp's error about the request line, whose next bytes will tell why it is
                        refused; or 0 */
  uint16_t error_status;
  const char *error_detail; /* a literal */
} HttpRequest;

/* Prepares an all-zero request for a new connection. It must not be moved afterwards; the limits
   and the pools must outlive it. The buffers of `large_pool` are used when those of `pool` are too
   small. */
void http_request_open(HttpRequest *r, const HttpLimits *limits, BufferPool *pool,
                       BufferPool *large_pool);

/* Returns the buffer of `in` or `body` before the request is over; it is then empty. */
static inline void http_request_give(HttpRequest *r, Buffer *b) {
  buffer_pool_give(b->cap == r->large_pool->size ? r->large_pool : r->pool, b);
}

/* Returns the buffers. */
void http_request_close(HttpRequest *r);

/* Takes `n` bytes. They may have been read to the end of the body (body.data + body.len): those of
   the body then stay there, uncopied. If a request is already complete, they are only kept (see
   http_request_pending). Bad requests leave error_status set. */
HttpProgress http_request_feed(HttpRequest *r, const char *bytes, size_t n);

/* Keeps `n` bytes for later without parsing. False when memory is out. */
bool http_request_keep(HttpRequest *r, const char *bytes, size_t n);

/* Continues with the bytes that are there: after HTTP_HEAD_READ, or after http_request_next. */
HttpProgress http_request_parse(HttpRequest *r);

/* Drops the complete request and prepares for the next one. */
void http_request_next(HttpRequest *r);

/* How many received bytes wait after the current request. */
static inline size_t http_request_pending(const HttpRequest *r) {
  return r->in.len - r->start - r->parsed;
}

/* The start of the spans' offsets. Moves with every feed. */
static inline const char *http_request_head(const HttpRequest *r) { return r->in.data + r->start; }

#endif
