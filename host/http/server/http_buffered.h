/* The limit `max_buffered`: bytes that a server keeps for all its clients together, of heads and
   requests ahead, of bodies, of messages, and of responses that clients have not taken. */
#ifndef ML_HTTP_BUFFERED_H
#define ML_HTTP_BUFFERED_H

#include "http/server/http_server.h"

#define HTTP_BUFFERED_DETAIL "the server has too much to keep; try again later"

/* Notes how much the connection keeps now. A head of an ordinary size does not count. */
static inline void http_buffered_note(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  size_t now = c->queued + c->kept + c->held + (c->body ? r->body.cap : 0) +
               (r->in.cap > r->pool->size ? r->in.cap : 0);
  c->server->buffered += now - c->buffered;
  c->buffered = now;
}

/* That many bytes of responses wait for the connection's client now. */
static inline void http_buffered_queue(HttpConnection *c, size_t n) {
  c->server->queued += n - c->queued;
  c->queued = n;
  http_buffered_note(c);
}

/* Do responses that wait for their clients have as much as they may, which is half of all? */
static inline bool http_buffered_is_crowded(const HttpServer *server) {
  return server->queued > server->limits.max_buffered / 2;
}

static inline void http_buffered_release(HttpConnection *c) {
  c->held = 0;
  http_buffered_note(c);
}

/* Is nothing more taken? */
static inline bool http_buffered_is_full(const HttpServer *server) {
  return server->buffered > server->limits.max_buffered;
}

/* What stands on the connection, a handler, a WebSocket, keeps that many bytes more, or less.
   Nothing is kept any more when it is closed, or has its response. False: it should keep no more,
   since the server is full. */
static inline bool http_buffered_hold(HttpConnection *c, ptrdiff_t more) {
  c->held += (size_t)more;
  http_buffered_note(c);
  return !http_buffered_is_full(c->server);
}

/* The same for what a response can do without: only while no more than half is taken, so that it
   turns nobody away. False: nothing is held. */
static inline bool http_buffered_hold_spare(HttpConnection *c, size_t more) {
  uint64_t most = c->server->limits.max_buffered / 2;
  if (more > most || c->server->buffered > most - more) return false;
  http_buffered_hold(c, (ptrdiff_t)more);
  return true;
}

#endif
