/* A stream of HTTP/2: a request and its response. It is what is below the ByteStream of an
   HttpConnection, instead of a socket: what comes becomes the bytes of an HTTP/1.1 request
   (http2_head.h), and the bytes of the response become frames (http2_reply.h). A window of the
   client that is full holds up the ByteStream's write, as a socket would.

   It belongs to its session until its connection is released. */
#ifndef ML_HTTP2_STREAM_H
#define ML_HTTP2_STREAM_H

#include "http/server/http2_session.h"

struct Http2Stream {
  HttpConnection connection; /* open if connection.http2 is set */
  Http2Session *session;
  Http2Stream *next, **link; /* of the session's */
  Http2Stream *next_news, *next_closed;
  int32_t id; /* 0: nghttp2 has closed it, or will */
  Buffer in;  /* bytes of the request, from `in_at` on, that the connection has not taken */
  size_t in_at;
  size_t unread; /* of them, bytes of DATA: the client's window is that much smaller */
  Http2Reply reply;
  const struct iovec *parts; /* while they are sent: what there is of the response */
  size_t n_parts, part_at;   /* how many, and how many bytes of the first are taken */
  size_t taken;              /* bytes of all of them that are taken */
  bool has_news;
  bool is_chunked;  /* its body goes to the connection in chunks */
  bool has_request; /* the head is complete */
  bool has_all;     /* and so is the body */
  bool was_reset;   /* by the client, or by nghttp2 for the client's mistake */
  bool is_aborted;  /* we reset it */
  bool is_shut;     /* no byte follows from our side */
  bool is_late;     /* bytes have come after that */
  bool is_stuck;    /* nghttp2 waits to be told that there are more bytes */
  bool is_written;  /* the write under way is over */
};

/* A stream that the client has opened. NULL if memory is out. */
Http2Stream *http2_stream_new(Http2Session *session, int32_t id);

/* Something was found out: http2_stream_news follows. */
void http2_stream_note(Http2Stream *st);

/* Tells the connection what was found out. Not inside a callback of nghttp2. */
void http2_stream_news(Http2Stream *st);

/* Adds bytes of the body, or the end of the request. False if memory is out. */
bool http2_stream_add(Http2Stream *st, const char *bytes, size_t n);
bool http2_stream_end(Http2Stream *st);

/* Has the client ended the request of that connection? */
bool http2_stream_has_all(const HttpConnection *c);

/* Fills `to` with up to `n` bytes of the response's body. */
size_t http2_stream_read(Http2Stream *st, char *to, size_t n);

/* The connection of the stream is released: frees it. */
void http2_stream_release(HttpConnection *c);

/* Frees it. */
void http2_stream_free(Http2Stream *st);

#endif
