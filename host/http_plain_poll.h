/* The sockets of plain connections, in an epoll set of their own that the loop watches as one: each
   is asked once what it has, when something has come to it. (libuv's own set is level-triggered: it
   asks each that had something a second time, to find that it has nothing more.) */
#ifndef ML_HTTP_PLAIN_POLL_H
#define ML_HTTP_PLAIN_POLL_H

#include <stdbool.h>
#include <uv.h>

typedef struct PlainConnection PlainConnection;

/* All zero is one without sockets, which has opened nothing. */
typedef struct PlainPoll {
  uv_poll_t handle; /* of the set */
  int fd;           /* the set */
  bool open;
  bool at_work;         /* events are handed out */
  unsigned busy;        /* connections that keep the loop alive */
  PlainConnection *old; /* closed ones, which events may still name */
} PlainPoll;

/* Watches the socket `fd` of `c`, edge-triggered, for being readable, writable or at its end: see
   plain_connection_ready. Opens the set when it is the first. Returns 0 or a libuv error. */
int plain_poll_add(PlainPoll *poll, uv_loop_t *loop, int fd, PlainConnection *c);

/* Tells once more what it has. */
void plain_poll_ask_again(PlainPoll *poll, int fd, PlainConnection *c);

/* Ceases to watch the socket. */
void plain_poll_remove(PlainPoll *poll, int fd);

/* Frees the closed connection when no event names it any more: now, where none is handed out. */
void plain_poll_free(PlainPoll *poll, PlainConnection *c);

/* A connection begins or ceases to keep the loop alive. */
void plain_poll_hold(PlainPoll *poll);
void plain_poll_let_go(PlainPoll *poll);

/* No socket is left. Its memory must live until the loop has closed the handle. */
void plain_poll_close(PlainPoll *poll);

#endif
