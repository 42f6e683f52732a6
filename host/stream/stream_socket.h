/* The source of streams that are sockets and pipes: a ByteStream. */
#ifndef ML_STREAM_SOCKET_H
#define ML_STREAM_SOCKET_H

#include "core/waiters.h"
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
  } peer;             /* zero: unknown */
  char *name;         /* of the host that was connected to, or NULL */
  bool is_server;     /* it was accepted */
  bool is_secured;    /* the handshake of TLS is over */
  Waiters handshakes; /* who waits for that, or for its failure, or the end of the stream */
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

/* The same for the end of a pipe in memory, which it takes over. Returns 0 or UV_ENOMEM. */
int stream_socket_open_memory(Streams *all, MemoryEnd *end, Stream **out);

/* Puts TLS below an open stream, that nobody reads from or writes to at the moment: what has come
   and was not read belongs to it. `name`: see byte_stream_secure. Who waits in `handshakes` is
   woken when that is over: then `is_secured` is true, or the stream has ended or is closed. Returns
   0 or UV_ENOMEM. */
int stream_socket_secure(StreamSocket *socket, TlsContext *context, const char *name);

/* Lets somebody else have what its ByteStream says, who neither reads nor writes by the stream
   then; NULL: the stream has it again, before it is closed. */
void stream_socket_lend(StreamSocket *socket, const ByteStreamUser *to);

/* The socket that a stream has as its source, or NULL: it is a pipe or has another source. */
StreamSocket *stream_socket_of(Stream *s);

#endif
