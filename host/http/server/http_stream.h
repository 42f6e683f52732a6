/* A response whose body is made while it is sent: its framing (RFC 9112 sections 6 and 7.1), and
   how much of it may wait for a slow client. */
#ifndef ML_HTTP_STREAM_H
#define ML_HTTP_STREAM_H

#include "http/server/http_connection.h"
#include "http/server/http_unsent.h"

enum {
  HTTP_STREAM_HIGH_WATER =
      64 * 1024, /* bytes not yet handed to the system above which a writer waits */
  HTTP_STREAM_A_PASS =
      256 * 1024, /* bytes handed to it in a pass, after which others get their turn */
};

/* It has two owners: the connection until the response is over, and the writer. */
struct HttpStream {
  HttpConnection *connection; /* NULL when the response is over */
  ml_Waker writer;            /* the writer, which waits until it is not full, or over */
  uint64_t left;              /* bytes left of the Content-Length, or an HTTP_LENGTH_* */
  size_t head_at;             /* start of the head in the connection's `out` */
  HttpUnsent unsent;
  uint32_t at_once; /* bytes handed to the system in this pass, while they were written */
  bool sent;        /* some of it has been handed to the system */
  bool behind;      /* the system has not taken all of those bytes */
  uint8_t owners;
};

/* A stream for a body of `length` bytes, or HTTP_LENGTH_*; it belongs to its writer. NULL if memory
   is out. */
HttpStream *http_stream_new(uint64_t length);

/* The response to the current request is streamed: its whole head is written, at `head_at` of
   c->out. */
void http_stream_begin(HttpStream *s, HttpConnection *c, size_t head_at);

/* Drops the writer's ownership. */
void http_stream_drop(HttpStream *s);

/* Is so much waiting that a writer should wait too? `writer` is woken when that is over. Not for a
   stream that is over. */
bool http_stream_is_full(const HttpStream *s);

/* Adds `n` bytes of the body, at most `left`. They are sent at the end of the pass; large amounts
   are sent at once, without a copy. False if memory is out: nothing was added, or the connection is
   closed. */
bool http_stream_write(HttpStream *s, const char *bytes, size_t n);

/* Ends the body. False if bytes are missing or memory is out. */
bool http_stream_end(HttpStream *s);

/* The response failed. If nothing of it has been sent, it is taken back, and another one can be
   given (true); otherwise the connection is closed in a way that no client takes what it got for
   the whole. Does nothing on a connection without a stream (true). */
bool http_stream_fail(HttpConnection *c);

/* The connection's pass: wakes the writer when it can go on. */
void http_stream_flushed(HttpStream *s);

/* The connection drops its stream: no response is under way. */
void http_stream_over(HttpConnection *c);

#endif
