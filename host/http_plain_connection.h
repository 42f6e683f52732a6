/* One connection of a pool: makes it, writes requests, reads responses, one exchange after the
   other. Its memory is freed when the socket is closed. */
#ifndef ML_HTTP_PLAIN_CONNECTION_H
#define ML_HTTP_PLAIN_CONNECTION_H

#include "buffer.h"
#include "http_plain_pool.h"
#include <sys/uio.h>

struct PlainConnection {
  PlainOrigin *origin;
  PlainExchange *exchange;          /* NULL: it is idle, or closed */
  PlainConnection *under, **on_top; /* among the origin's idle ones */
  PlainConnection *newer, *older;   /* among the pool's idle ones */
  uint64_t idle_since;              /* loop milliseconds */
  int fd;                           /* -1: it is being made, or closed */
  bool idle;                        /* in the pool's list of such */
  bool busy;                        /* keeps the loop alive */
  bool kept;                        /* it has carried an exchange before */
  bool write_failed; /* the other side takes nothing more; what it has said can still be read */
  bool paused;       /* reading is paused: too much waits */
  size_t sent;       /* bytes of `out` */
  Buffer out;        /* to be sent */
  size_t body_left;  /* bytes at `body`, to be sent after it */
  const char *body;
  HttpDial *dial;                /* while it is being made */
  PlainConnection *next, **link; /* among the pool's */
};

/* Starts to make a connection for `x`, which may have failed when this returns. False when memory
   is out. */
bool plain_connection_new(PlainOrigin *origin, PlainExchange *x);

/* Begins an exchange on an idle connection. */
void plain_connection_begin(PlainConnection *c, PlainExchange *x);

/* Has nothing come on an idle connection, not even its end? Asks the system. */
bool plain_connection_is_quiet(PlainConnection *c);

/* For the poll: these of EPOLLIN, EPOLLOUT and so on are new. */
void plain_connection_ready(PlainConnection *c, unsigned events);

/* Closes the socket at once, and takes the connection out of its pool, whose origin may be gone
   then. Its exchange, if there is one, is without a connection. */
void plain_connection_close(PlainConnection *c);

/* Writes `n` pieces, now or later: they are copied as far as they cannot be written now. False when
   memory is out. */
bool plain_connection_write(PlainConnection *c, const struct iovec *pieces, unsigned n);

/* Bytes that the system has not taken yet. */
size_t plain_connection_unsent(const PlainConnection *c);

/* Goes on with reading, where it is paused. */
void plain_connection_read_on(PlainConnection *c);

/* For the poll: frees the memory of a closed one. */
void plain_connection_free(PlainConnection *c);

#endif
