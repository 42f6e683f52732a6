/* Writing what a connection's `out` holds: at once as far as the socket takes it, the rest through
   libuv, at the pace that the client is held to. */
#ifndef ML_HTTP_WRITE_H
#define ML_HTTP_WRITE_H

#include "http_connection.h"
#include <sys/uio.h>

/* Writes c->out, which is not empty; no write is under way. What does not go at once becomes
   c->write, and http_connection_written is called when it is done. */
void http_write_start(HttpConnection *c);

/* Writes parts that are not in c->out, or are all of it, now; no write is under way. Returns how
   many bytes of them went: fewer where the socket takes no more, or fails, which the next write
   tells. */
size_t http_write_at_once(HttpConnection *c, const struct iovec *parts, size_t n);

/* c->write_deadline has passed: true when the client has not taken enough and was hung up on. */
bool http_write_expire(HttpConnection *c);

#endif
