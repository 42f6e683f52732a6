/* The limit `max_buffered`: bytes that a server keeps for all its clients together, of bodies that
   no handler has taken yet and of responses that clients have not taken. */
#ifndef ML_HTTP_BUFFERED_H
#define ML_HTTP_BUFFERED_H

#include "http/server/http_server.h"

#define HTTP_BUFFERED_DETAIL "the server has too much to keep; try again later"

/* Notes how much the connection keeps now. */
static inline void http_buffered_note(HttpConnection *c) {
  size_t now = c->queued + c->kept + (c->body ? c->request.body.cap : 0);
  c->server->buffered += now - c->buffered;
  c->buffered = now;
}

/* Is nothing more taken? */
static inline bool http_buffered_is_full(const HttpServer *server) {
  return server->buffered > server->limits.max_buffered;
}

#endif
