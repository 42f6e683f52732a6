/* The sockets of the connections, in a separate epoll set that the loop watches as one: each socket
   is queried once when something has happened on it. (libuv's own set is level-triggered: it
   queries each such socket a second time, only to find nothing more.) */
#ifndef ML_CLIENT_POLL_H
#define ML_CLIENT_POLL_H

#include <stdbool.h>
#include <uv.h>

typedef struct ClientConnection ClientConnection;

/* All zero is a set without sockets, which has opened nothing. */
typedef struct ClientPoll {
  uv_poll_t handle; /* of the set */
  int fd;           /* the set */
  bool open;
  bool at_work;          /* events are handed out */
  unsigned busy;         /* connections that keep the loop alive */
  ClientConnection *old; /* closed connections that events may still name */
} ClientPoll;

/* Watches the socket `fd` of `c`, edge-triggered, for being readable, writable or at its end: see
   client_connection_ready. The first call opens the set. Returns 0 or a libuv error. */
int client_poll_add(ClientPoll *poll, uv_loop_t *loop, int fd, ClientConnection *c);

/* Reports its state once more. */
void client_poll_ask_again(ClientPoll *poll, int fd, ClientConnection *c);

/* Hands out events that the set does not know of, those of a connection without a socket. */
void client_poll_hand_out(ClientPoll *poll, ClientConnection *c, unsigned events);

/* Stops watching the socket. */
void client_poll_remove(ClientPoll *poll, int fd);

/* Frees the closed connection when no event names it: at once, unless events are being handed
   out. */
void client_poll_free(ClientPoll *poll, ClientConnection *c);

/* A connection starts or stops keeping the loop alive. */
void client_poll_hold(ClientPoll *poll);
void client_poll_let_go(ClientPoll *poll);

/* No socket is left. Its memory must live until the loop has closed the handle. */
void client_poll_close(ClientPoll *poll);

#endif
