/* A connection before its first byte of TLS or HTTP, where a proxy says whose it is
   (proxy_protocol.h). Only the header is read from the socket, so that whatever follows does not
   know of it. */
#ifndef ML_HTTP_PREFACE_H
#define ML_HTTP_PREFACE_H

#include "http/server/http_room.h"
#include "http/server/http_server.h"

/* Takes over an accepted socket, and opens a connection with it when the header is there. If there
   is none, it is malformed, or its sender is not to be believed, the socket is closed. The header
   has `header_timeout`, from now on. `entry`: what follows it. */
void http_preface_open(HttpServer *server, int fd, HttpEntry entry);

/* Closes those whose time was over when events were last polled, at `polled_at` in loop
   milliseconds. */
void http_preface_expire(HttpServer *server, uint64_t polled_at);

/* Clients wait, and no more may be accepted: closes up to `most` of them, HTTP_ROOM at
   most, those first that have been waited for longest. Returns how many. */
unsigned http_preface_make_room(HttpServer *server, unsigned most);

void http_preface_close_all(HttpServer *server);

#endif
