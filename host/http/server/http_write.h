/* Responses that a socket does not take at once: the rest is written gradually, at the minimum pace
   required of the client. */
#ifndef ML_HTTP_WRITE_H
#define ML_HTTP_WRITE_H

#include "http/server/http_connection.h"

/* Writes the rest of c->out after the `sent` bytes when the socket takes more; no write may be
   under way. */
void http_write_rest(HttpConnection *c, size_t sent);

/* Sends c->out and c->lent, which are both there; the rest when the socket takes more. */
void http_write_lent(HttpConnection *c);

/* c->write_deadline has passed: true if the client has not taken enough and was disconnected. */
bool http_write_expire(HttpConnection *c);

/* How many bytes the client has taken of the write under way, which has a time limit. */
static inline uint64_t http_write_taken(const HttpConnection *c) {
  size_t unsent = byte_stream_unsent(&c->bytes);
  return c->write_pace.moved + (unsent < c->unsent ? c->unsent - unsent : 0);
}

/* `c` is UPGRADED: gives a write that is under way the time that a response has. */
void http_write_watch(HttpConnection *c);

#endif
