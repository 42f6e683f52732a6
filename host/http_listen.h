/* The listening socket of a server, for whoever accepts from it. */
#ifndef ML_HTTP_LISTEN_H
#define ML_HTTP_LISTEN_H

#include <stdint.h>
#include <uv.h>

/* Opens a listening TCP socket on `host` (a name or an address) and `port` (0: any). Looking the
   name up blocks. Returns the descriptor, which is the caller's, does not block and is closed on
   exec; or a libuv error. */
int http_listen(uv_loop_t *loop, const char *host, uint16_t port);

/* The port of a bound TCP socket, or a libuv error. */
int http_listen_port(int fd);

#endif
