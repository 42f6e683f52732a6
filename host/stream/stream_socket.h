/* The source of streams that are sockets and pipes: a ByteStream. */
#ifndef ML_STREAM_SOCKET_H
#define ML_STREAM_SOCKET_H

#include "net/byte_stream.h"
#include "stream/stream.h"
#include <sys/un.h>

/* A connected socket, or the end of a pipe. */
typedef struct StreamSocket {
  Stream stream; /* first */
  ByteStream bytes;
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
  } peer;                       /* zero: unknown */
  void (*on_close)(void *data); /* called once, when it begins to close; or NULL */
  void *on_close_data;
} StreamSocket;

/* Makes a stream of a connected non-blocking socket, which it takes over in any case: of TCP, or a
   Unix one. `peer` has `peer_size` bytes, or is NULL: then the system is asked. Returns 0 and the
   stream, or a libuv error. */
int stream_socket_open(Streams *all, int fd, const struct sockaddr *peer, socklen_t peer_size,
                       Stream **out);

/* The same for the end of a pipe(2), non-blocking, of which one can read or write. What it is
   called in messages, such as "the standard output of 'git'", is copied as far as there is
   room. */
int stream_socket_open_pipe(Streams *all, int fd, bool can_read, bool can_write, const char *name,
                            Stream **out);

/* The socket that a stream has as its source, or NULL: it is a pipe or has another source. */
StreamSocket *stream_socket_of(Stream *s);

#endif
