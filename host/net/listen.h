/* The listening socket of a server. */
#ifndef ML_LISTEN_H
#define ML_LISTEN_H

#include <stdint.h>
#include <uv.h>

/* Opens a listening TCP socket on `host` (a name or an address) and `port` (0: any). Looking the
   name up blocks. Returns the descriptor, which the caller owns, is non-blocking and closed on
   exec; or a libuv error. */
int listen_open(uv_loop_t *loop, const char *host, uint16_t port);

/* Ends listening for all processes that hold the socket, and closes it here: new clients are
   refused at once instead of waiting for a process that is slow to close it. Not for a socket that
   outlives this program. */
void listen_end(int fd);

/* The port of a bound TCP socket, or a libuv error. */
int listen_port(int fd);

#endif
