#include "stream/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The end of a pipe: `peer` is not used. */
typedef struct Pipe {
  StreamSocket socket; /* first */
  char name[64];
} Pipe;

static StreamSocket *socket_of(const Stream *s) { return (StreamSocket *)(uintptr_t)s; }

static StreamSocket *of_bytes(ByteStream *bytes) {
  return container_of(bytes, StreamSocket, bytes);
}

/* --- what the bytes tell --- */

static uv_buf_t room(ByteStream *bytes) { return stream_room(&of_bytes(bytes)->stream); }

static void came(ByteStream *bytes, const char *data, size_t n) {
  Stream *s = &of_bytes(bytes)->stream;
  stream_came(s, data, n);
  if (stream_has_enough(s)) byte_stream_pause(bytes);
}

/* libuv takes a reset that comes with the last bytes for an orderly end. One behind such an end is
   EPIPE. */
static int end_of(const ByteStream *bytes, int status) {
  int error = 0;
  socklen_t size = sizeof error;
  if (status != UV_EOF || bytes->tls_context) return status;
  if (getsockopt(bytes->fd, SOL_SOCKET, SO_ERROR, &error, &size)) return status;
  return error && error != EPIPE ? uv_translate_sys_error(error) : status;
}

static void ended(ByteStream *bytes, int status) {
  StreamSocket *socket = of_bytes(bytes);
  stream_ended(&socket->stream, end_of(bytes, status));
  waiters_wake_all(&socket->handshakes);
}

static void secured(ByteStream *bytes) {
  StreamSocket *socket = of_bytes(bytes);
  socket->is_secured = true;
  waiters_wake_all(&socket->handshakes);
}

static void written(ByteStream *bytes, int status) {
  stream_written(&of_bytes(bytes)->stream, status);
}

static void closed(ByteStream *bytes) { stream_closed(&of_bytes(bytes)->stream); }

static const ByteStreamUser user = {.room = room,
                                    .came = came,
                                    .ended = ended,
                                    .written = written,
                                    .closed = closed,
                                    .secured = secured};

void stream_socket_lend(StreamSocket *socket, const ByteStreamUser *to) {
  socket->bytes.user = to ? to : &user;
}

/* --- what the stream asks for --- */

static void fetch(Stream *s) { byte_stream_resume(&socket_of(s)->bytes); }

static ssize_t send_now(Stream *s, const char *bytes, size_t n) {
  return byte_stream_send(&socket_of(s)->bytes, bytes, n);
}

static ssize_t write_later(Stream *s, const char *bytes, size_t n) {
  Buffer data = {0};
  if (!buffer_add(&data, bytes, n)) return UV_ENOMEM;
  int error = byte_stream_write(&socket_of(s)->bytes, &data, 0);
  buffer_free(&data);
  return error ? error : (ssize_t)n;
}

static size_t unwritten(const Stream *s) { return byte_stream_queued(&socket_of(s)->bytes); }

static int shut(Stream *s) { return byte_stream_shut(&socket_of(s)->bytes); }

static void hold(Stream *s, bool held) {
  uv_handle_t *handle = (uv_handle_t *)&socket_of(s)->bytes.tcp;
  if (held)
    uv_ref(handle);
  else
    uv_unref(handle);
}

static void close_bytes(Stream *s, bool cut) {
  StreamSocket *socket = socket_of(s);
  byte_stream_close(&socket->bytes, cut);
  waiters_wake_all(&socket->handshakes);
  if (socket->on_close) socket->on_close(socket->on_close_data);
}

static void free_socket(Stream *s) {
  free(socket_of(s)->name);
  free(s);
}

/* What TLS says of its failure. */
static const char *error_of(const Stream *s, int status, const char **kind, const char **code) {
  const TlsSession *session = byte_stream_tls(&socket_of(s)->bytes);
  if (status != UV_EPROTO || !session || !session->error) return NULL;
  *kind = "tls";
  *code = NULL;
  return session->error;
}

static void describe(const Stream *s, char *text, size_t size) {
  const StreamSocket *socket = socket_of(s);
  char host[INET6_ADDRSTRLEN] = "?";
  switch (socket->peer.any.sa_family) {
  case AF_INET:
    inet_ntop(AF_INET, &socket->peer.v4.sin_addr, host, sizeof host);
    snprintf(text, size, "the connection to %s:%u", host, ntohs(socket->peer.v4.sin_port));
    break;
  case AF_INET6:
    inet_ntop(AF_INET6, &socket->peer.v6.sin6_addr, host, sizeof host);
    snprintf(text, size, "the connection to [%s]:%u", host, ntohs(socket->peer.v6.sin6_port));
    break;
  case AF_UNIX:
    snprintf(text, size, "the connection to unix:%s", socket->peer.local.sun_path);
    break;
  default:
    snprintf(text, size, "the connection");
  }
}

static void describe_pipe(const Stream *s, char *text, size_t size) {
  snprintf(text, size, "%s", ((const Pipe *)(const void *)s)->name);
}

static const StreamSource socket_source = {.error_kind = "network",
                                           .fetch = fetch,
                                           .send = send_now,
                                           .write = write_later,
                                           .unwritten = unwritten,
                                           .shut = shut,
                                           .hold = hold,
                                           .close = close_bytes,
                                           .free = free_socket,
                                           .describe = describe,
                                           .error = error_of};

static const StreamSource pipe_source = {.error_kind = "process",
                                         .fetch = fetch,
                                         .send = send_now,
                                         .write = write_later,
                                         .unwritten = unwritten,
                                         .shut = shut,
                                         .hold = hold,
                                         .close = close_bytes,
                                         .free = free_socket,
                                         .describe = describe_pipe};

StreamSocket *stream_socket_of(Stream *s) {
  return s->source == &socket_source ? socket_of(s) : NULL;
}

/* The stream is open, or `error` is why it is not. */
static int opened(Stream *s, int error, Stream **out) {
  waiters_init(&socket_of(s)->handshakes);
  uv_unref((uv_handle_t *)&socket_of(s)->bytes.tcp);
  if (error)
    stream_release(s);
  else
    *out = s;
  return error;
}

int stream_socket_open(Streams *all, int fd, const struct sockaddr *peer, socklen_t peer_size,
                       Stream **out) {
  StreamSocket *socket = calloc(1, sizeof *socket);
  if (!socket) {
    close(fd);
    return UV_ENOMEM;
  }
  if (!peer) {
    peer_size = sizeof socket->peer - 1; /* the path of a Unix one stays a text */
    getpeername(fd, &socket->peer.any, &peer_size);
  } else {
    memcpy(&socket->peer, peer, peer_size < sizeof socket->peer ? peer_size : sizeof socket->peer);
  }
  stream_open(&socket->stream, all, &socket_source, true, true);
  return opened(&socket->stream, byte_stream_open(&socket->bytes, &all->rt->loop, fd, &user), out);
}

int stream_socket_open_memory(Streams *all, MemoryEnd *end, Stream **out) {
  StreamSocket *socket = calloc(1, sizeof *socket);
  if (!socket) {
    memory_end_close(end, true);
    return UV_ENOMEM;
  }
  ByteStreamPeer peer;
  stream_open(&socket->stream, all, &socket_source, true, true);
  byte_stream_open_memory(&socket->bytes, &all->rt->loop, end, &user);
  byte_stream_peer(&socket->bytes, &peer);
  socket->peer.v4 = peer.v4;
  return opened(&socket->stream, 0, out);
}

int stream_socket_open_pipe(Streams *all, int fd, bool can_read, bool can_write, const char *name,
                            Stream **out) {
  Pipe *pipe = calloc(1, sizeof *pipe);
  if (!pipe) {
    close(fd);
    return UV_ENOMEM;
  }
  snprintf(pipe->name, sizeof pipe->name, "%s", name);
  StreamSocket *socket = &pipe->socket;
  stream_open(&socket->stream, all, &pipe_source, can_read, can_write);
  return opened(&socket->stream,
                byte_stream_open_pipe(&socket->bytes, &all->rt->loop, fd, can_read, &user), out);
}

int stream_socket_secure(StreamSocket *socket, TlsContext *context, const char *name) {
  Stream *s = &socket->stream;
  size_t n = stream_unread(s);
  Buffer early = {0};
  if (n && !buffer_add(&early, s->in.data + s->at, n)) return UV_ENOMEM;
  int error = byte_stream_secure(&socket->bytes, context, name);
  if (!error) {
    stream_forget(s);
    s->is_bound = true;
    byte_stream_secure_came(&socket->bytes, early.data, n);
    fetch(s);
  }
  buffer_free(&early);
  return error;
}
