/* One connection of a pool: makes it, writes requests, reads responses, one exchange after the
   other. Its memory is freed when the socket is closed. */
#ifndef ML_HTTP_PLAIN_CONNECTION_H
#define ML_HTTP_PLAIN_CONNECTION_H

#include "buffer.h"
#include "http_plain_pool.h"

struct PlainConnection {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  PlainOrigin *origin;
  PlainExchange *exchange;          /* NULL: it is idle, or closed */
  PlainConnection *next, **link;    /* among the pool's */
  PlainConnection *newer, *older;   /* among the pool's idle ones */
  PlainConnection *under, **on_top; /* among the origin's idle ones */
  uint64_t idle_since;              /* loop milliseconds */
  HttpDial *dial;                   /* while it is being made */
  uv_write_t write;
  Buffer writing;    /* what `write` writes, unless that is the exchange's */
  Buffer out;        /* to be written after it */
  bool has_handle;   /* the handle is libuv's */
  bool idle;         /* in the pool's list of such */
  bool kept;         /* it has carried an exchange before */
  bool is_writing;   /* `write` is under way */
  bool write_failed; /* the other side takes nothing more; what it has said can still be read */
  bool paused;       /* reading is paused: too much waits */
};

/* Starts to make a connection for `x`, which may have failed when this returns. False when memory
   is out. */
bool plain_connection_new(PlainOrigin *origin, PlainExchange *x);

/* Begins an exchange on an idle connection. */
void plain_connection_begin(PlainConnection *c, PlainExchange *x);

/* Has nothing come on an idle connection, not even its end? Asks the system. */
bool plain_connection_is_quiet(PlainConnection *c);

/* Closes the socket at once, and takes the connection out of its pool, whose origin may be gone
   then. Its exchange, if there is one, is without a connection. */
void plain_connection_close(PlainConnection *c);

/* Writes `n` pieces, now or later: they are copied as far as they cannot be written now. False when
   memory is out. */
bool plain_connection_write(PlainConnection *c, const uv_buf_t *pieces, unsigned n);

/* Bytes that the system has not taken yet. */
size_t plain_connection_unsent(const PlainConnection *c);

/* Goes on with reading, where it is paused. */
void plain_connection_read_on(PlainConnection *c);

#endif
