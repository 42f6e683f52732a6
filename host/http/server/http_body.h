/* The body of a request whose handler started before all of it had arrived: received bytes wait in
   the request's buffer for a reader, and the client waits while that is full. */
#ifndef ML_HTTP_BODY_H
#define ML_HTTP_BODY_H

#include "http/server/http_connection.h"

enum {
  HTTP_BODY_HIGH_WATER = 64 * 1024, /* waiting bytes up to which more is read */
  HTTP_BODY_FAST = 16 * 1024,
  HTTP_BODY_THROWN = 64 * 1024, /* unread bytes that are discarded to keep a connection */
};

/* It has two owners: the connection until the request is answered, and the reader. */
struct HttpBody {
  HttpConnection *connection; /* NULL when the request is answered */
  ml_Waker reader;            /* the reader, which waits for more, the end, or a failure */
  const char *error_detail;   /* a literal: why the rest cannot be read */
  uint16_t error_status;      /* or 0 */
  bool complete;              /* all of it has arrived */
  bool whole;                 /* the reader wants it in one piece: nothing holds the client back */
  bool asked;                 /* the handler has asked for it */
  bool is_fast;               /* the last read returned HTTP_BODY_FAST bytes */
  uint8_t owners;
};

/* Begins: the current request's body is not complete, and its handler is about to start. False if
   memory is out. */
bool http_body_begin(HttpConnection *c);

/* Adds an owner, the reader, which drops it later. */
HttpBody *http_body_hold(HttpBody *b);
void http_body_drop(HttpBody *b);

/* The reader is about to read: tells the client to send, if it has asked. `whole`: all in one
   piece. Only before the request is answered. */
void http_body_ask(HttpBody *b, bool whole);

/* The received bytes that were not taken; valid until the next pass of the loop. */
const Buffer *http_body_bytes(const HttpBody *b);

/* All of that has been taken: continues to read. */
void http_body_taken(HttpBody *b);

/* Where to read the next bytes of an expected body; of length 0 while too much waits. */
uv_buf_t http_body_room(HttpConnection *c);

/* Bytes of the body, or after it, have been parsed, with this result. */
void http_body_progress(HttpConnection *c, HttpProgress progress);

/* The end of a pass: holds the client back if nobody has taken what waits. */
void http_body_pass(HttpConnection *c);

/* Keeps no more of the body, since the server keeps too much: fails it. */
void http_body_refuse(HttpConnection *c);

/* Fails the body: the reader gets an error, and the connection closes after the answer. */
void http_body_fail(HttpConnection *c, int status, const char *detail);

/* Are bytes of the body still to come, and are we ready to read them? */
static inline bool http_body_is_owed(const HttpConnection *c) {
  const HttpBody *b = c->body;
  return b && !b->complete && !b->error_status && !c->bytes.paused;
}

/* Not all of the body has arrived, and the response will be complete: may the connection be kept
   for another request? */
bool http_body_may_be_left(const HttpConnection *c);

/* The request is answered: the connection drops the body, which it must have. */
void http_body_over(HttpConnection *c);

#endif
