/* The body of a request whose handler has started before all of it was there: what has come waits
   in the request's buffer for a reader, and the client waits while that is full. */
#ifndef ML_HTTP_BODY_H
#define ML_HTTP_BODY_H

#include "http_connection.h"

enum {
  HTTP_BODY_HIGH_WATER = 64 * 1024, /* bytes that wait for the reader while more is read */
  HTTP_BODY_FAST = 16 * 1024,
  HTTP_BODY_THROWN = 64 * 1024, /* bytes that nobody read which are taken to keep a connection */
};

/* It has two owners: the connection until the request is answered, and whoever reads. */
struct HttpBody {
  HttpConnection *connection; /* NULL when the request is answered */
  ml_Waker reader;            /* waits for more, the end, or a failure */
  const char *error_detail;   /* a literal: why the rest cannot be read */
  uint16_t error_status;      /* or 0 */
  bool complete;              /* all of it has come */
  bool whole;                 /* the reader wants it in one piece: nothing holds the client back */
  bool asked;                 /* the handler has asked for it */
  bool is_fast;               /* the last read gave HTTP_BODY_FAST bytes */
  uint8_t owners;
};

/* The current request's body is not complete, and its handler is going to start. False when memory
   is out. */
bool http_body_begin(HttpConnection *c);

/* Takes part in the ownership, for a reader, who drops it. */
HttpBody *http_body_hold(HttpBody *b);
void http_body_drop(HttpBody *b);

/* The reader is going to read: tells a client that has asked that it should send. `whole`: all in
   one piece. Before the request is answered. */
void http_body_ask(HttpBody *b, bool whole);

/* What has come and was not taken; valid until the next pass of the loop. */
const Buffer *http_body_bytes(const HttpBody *b);

/* All of that has been taken: reads on. */
void http_body_taken(HttpBody *b);

/* Where the next bytes of an owed body are to be read to; of length 0 while too much waits. */
uv_buf_t http_body_room(HttpConnection *c);

/* Bytes of the body, or what follows it, have been parsed, with this result. */
void http_body_progress(HttpConnection *c, HttpProgress progress);

/* The end of a pass: holds the client back if nobody has taken what waits. */
void http_body_pass(HttpConnection *c);

/* The rest cannot be read: the reader gets an error, and the connection closes after the answer. */
void http_body_fail(HttpConnection *c, int status, const char *detail);

/* Does the client owe bytes of the body that we are ready to read? */
static inline bool http_body_is_owed(const HttpConnection *c) {
  const HttpBody *b = c->body;
  return b && !b->complete && !b->error_status && !c->paused;
}

/* Not all of the body has come, and a response is going to be given in full: may the connection be
   kept for another request? */
bool http_body_may_be_left(const HttpConnection *c);

/* The request is answered: the connection lets go of the body, which it has. */
void http_body_over(HttpConnection *c);

#endif
