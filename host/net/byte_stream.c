#include "net/byte_stream.h"

#include "net/tls_stream.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Keep-alive: seconds of silence before the system probes a peer, seconds between two probes, and
   how many may stay unanswered. A closed socket of Linux answers for a minute, then with a
   reset. */
enum { KEEPALIVE_IDLE = 15, KEEPALIVE_INTERVAL = 15, KEEPALIVE_PROBES = 4 };

static void alloc_read(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  ByteStream *s = handle->data;
  *buffer = s->user->room(s);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  ByteStream *s = stream->data;
  if (n > 0) {
    s->user->came(s, buffer->base, (size_t)n);
  } else if (n < 0 && n != UV_ENOBUFS) {
    s->ended = true;
    s->user->ended(s, (int)n);
  }
}

/* libuv reads and writes any descriptor that is opened as one of TCP: what is special about TCP are
   the calls that it makes when it is asked to. */
static int open_descriptor(ByteStream *s, uv_loop_t *loop, int fd, const ByteStreamUser *user) {
  uv_tcp_init(loop, &s->tcp); /* only wrong flags could make it fail, and it has none */
  s->tcp.data = s;
  s->user = user;
  s->fd = fd;
  s->is_pipe = false;
  int rc = uv_tcp_open(&s->tcp, fd);
  if (rc) close(fd);
  return rc;
}

int byte_stream_open(ByteStream *s, uv_loop_t *loop, int fd, const ByteStreamUser *user) {
  int rc = open_descriptor(s, loop, fd, user);
  if (rc) return rc;
  uv_tcp_nodelay(&s->tcp, 1);
  return uv_read_start((uv_stream_t *)&s->tcp, alloc_read, on_read);
}

void byte_stream_open_below(ByteStream *s, const ByteStreamBelow *below,
                            const ByteStreamUser *user) {
  s->user = user;
  s->fd = -1;
  s->below = below;
}

int byte_stream_open_pipe(ByteStream *s, uv_loop_t *loop, int fd, bool readable,
                          const ByteStreamUser *user) {
  int rc = open_descriptor(s, loop, fd, user);
  if (rc) return rc;
  s->is_pipe = true;
  return readable ? uv_read_start((uv_stream_t *)&s->tcp, alloc_read, on_read) : 0;
}

/* --- TLS --- */

static void alloc_secure(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  ByteStream *s = handle->data;
  /* A server's first byte. */
  if (!s->tls) s->tls = tls_stream_new(s, s->tls_context, NULL);
  *buffer = s->tls ? uv_buf_init(s->tls->line->input, TLS_LINE_INPUT) : uv_buf_init(NULL, 0);
}

static void on_secure_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  ByteStream *s = stream->data;
  if (n > 0)
    tls_stream_came(s->tls, buffer->base, (size_t)n);
  else if (n < 0 && s->tls && n != UV_ENOBUFS)
    tls_stream_ended(s->tls, (int)n);
  else if (n < 0 && !s->tls)
    s->user->ended(s, UV_ENOMEM);
}

int byte_stream_secure(ByteStream *s, TlsContext *context, const char *name) {
  if (!context->is_server) {
    s->tls = tls_stream_new(s, context, name);
    if (!s->tls) return UV_ENOMEM;
    tls_stream_greet(s->tls);
  }
  s->tls_context = tls_context_retain(context);
  if (!s->paused) byte_stream_read_start(s);
  return 0;
}

void byte_stream_secure_came(ByteStream *s, const char *bytes, size_t n) {
  while (n && !s->ended) {
    uv_buf_t room;
    alloc_secure((uv_handle_t *)&s->tcp, 0, &room);
    size_t piece = n < room.len ? n : room.len;
    if (piece) memcpy(room.base, bytes, piece);
    on_secure_read((uv_stream_t *)&s->tcp, piece ? (ssize_t)piece : UV_ENOMEM, &room);
    bytes += piece;
    n = piece ? n - piece : 0;
  }
}

const TlsSession *byte_stream_tls(const ByteStream *s) { return s->tls ? &s->tls->session : NULL; }

void byte_stream_read_start(ByteStream *s) {
  uv_read_stop((uv_stream_t *)&s->tcp); /* it may read in clear yet */
  if (s->tls_context)
    uv_read_start((uv_stream_t *)&s->tcp, alloc_secure, on_secure_read);
  else
    uv_read_start((uv_stream_t *)&s->tcp, alloc_read, on_read);
}

/* --- */

void byte_stream_peer(const ByteStream *s, ByteStreamPeer *peer) {
  int size = sizeof *peer;
  if (s->below)
    s->below->peer(s, peer);
  else if (uv_tcp_getpeername(&s->tcp, &peer->any, &size))
    *peer = (ByteStreamPeer){0};
}

void byte_stream_pause(ByteStream *s) {
  s->paused = true;
  if (!s->below) uv_read_stop((uv_stream_t *)&s->tcp);
}

void byte_stream_resume(ByteStream *s) {
  if (!s->paused) return;
  s->paused = false;
  if (s->below)
    s->below->resume(s);
  else if (s->tls)
    tls_stream_resume(s->tls);
  else
    byte_stream_read_start(s);
}

/* --- writing --- */

/* Not uv_try_write: it is a good part of the cost of a response, and nothing is queued in libuv. */
static ssize_t taken(ssize_t sent) {
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* A server cannot send before its client has. */
static ssize_t send_secure(ByteStream *s, const struct iovec *parts, size_t n) {
  return s->tls ? tls_stream_send(s->tls, parts, n) : 0;
}

/* To what takes parts alone. Its local is kept out of the way of sends in clear. */
__attribute__((noinline)) static ssize_t send_part(ByteStream *s, const char *bytes, size_t n) {
  struct iovec part = {(char *)(uintptr_t)bytes, n};
  return s->below ? s->below->send(s, &part, 1) : send_secure(s, &part, 1);
}

ssize_t byte_stream_send(ByteStream *s, const char *bytes, size_t n) {
  if (s->below || s->tls_context) return send_part(s, bytes, n);
  if (s->is_pipe) return taken(write(s->fd, bytes, n));
  return taken(send(s->fd, bytes, n, MSG_NOSIGNAL));
}

ssize_t byte_stream_send_parts(ByteStream *s, const struct iovec *parts, size_t n) {
  if (s->below) return s->below->send(s, parts, n);
  if (s->is_pipe) return taken(writev(s->fd, parts, (int)n));
  if (s->tls_context) return send_secure(s, parts, n);
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n};
  return taken(sendmsg(s->fd, &message, MSG_NOSIGNAL));
}

static void free_write(ByteStreamWrite *w) {
  w->stream->write = NULL;
  if (w->loan)
    w->loan->give_back(w->loan);
  else
    buffer_free(&w->data);
  free(w);
}

void byte_stream_write_over(ByteStream *s, int status) {
  free_write(s->write);
  s->user->written(s, status);
}

void byte_stream_write_drop(ByteStream *s) { free_write(s->write); }

static bool is_closing(const ByteStream *s) { return uv_is_closing((const uv_handle_t *)&s->tcp); }

static void on_written(uv_write_t *request, int status) {
  ByteStreamWrite *w = (ByteStreamWrite *)request;
  ByteStream *s = w->stream;
  free_write(w);
  if (!is_closing(s)) s->user->written(s, status);
}

static ByteStreamWrite *new_write(ByteStream *s, size_t from) {
  ByteStreamWrite *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->stream = s;
  w->at = from;
  s->write = w;
  return w;
}

static int begin_write(ByteStream *s, ByteStreamWrite *w) {
  if (s->below) {
    s->below->write(s);
    return 0;
  }
  if (s->tls_context) { /* the end of the handshake begins it otherwise */
    if (s->tls) tls_stream_write(s->tls);
    return 0;
  }
  uv_buf_t rest = uv_buf_init(w->data.data + w->at, (unsigned)(w->data.len - w->at));
  int rc = uv_write(&w->request, (uv_stream_t *)&s->tcp, &rest, 1, on_written);
  if (rc) free_write(w);
  return rc;
}

int byte_stream_write(ByteStream *s, Buffer *data, size_t from) {
  ByteStreamWrite *w = new_write(s, from);
  if (!w) return UV_ENOMEM;
  w->data = *data;
  *data = (Buffer){0};
  return begin_write(s, w);
}

int byte_stream_write_lent(ByteStream *s, const char *bytes, size_t n, size_t from,
                           ByteStreamLoan *loan) {
  ByteStreamWrite *w = new_write(s, from);
  if (!w) {
    loan->give_back(loan);
    return UV_ENOMEM;
  }
  w->data = (Buffer){(char *)(uintptr_t)bytes, n, n}; /* only read from */
  w->loan = loan;
  return begin_write(s, w);
}

size_t byte_stream_unsent(const ByteStream *s) {
  int in_kernel = 0;
  if (s->below) return byte_stream_queued(s) + s->below->unread(s);
  if (ioctl(s->fd, SIOCOUTQ, &in_kernel)) in_kernel = 0;
  return byte_stream_queued(s) + (size_t)in_kernel;
}

size_t byte_stream_queued_above(const ByteStream *s) {
  return s->write ? s->write->data.len - s->write->at : 0;
}

/* --- ends --- */

int byte_stream_shut(ByteStream *s) {
  if (s->below) {
    s->below->shut(s);
    return 0;
  }
  if (s->is_pipe) return 0;
  if (s->tls) return tls_stream_shut(s->tls);
  /* Not uv_shutdown: nothing is left to write, and its request is large. */
  return shutdown(s->fd, SHUT_WR) ? -errno : 0;
}

void byte_stream_watch_peer(ByteStream *s) {
  int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, probes = KEEPALIVE_PROBES;
  setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

bool byte_stream_has_gone(const ByteStream *s) {
  if (s->below) return s->below->has_gone(s);
  struct pollfd watched = {.fd = s->fd, .events = s->ended ? 0 : POLLRDHUP};
  return poll(&watched, 1, 0) > 0;
}

bool byte_stream_has_unread(const ByteStream *s) {
  int n = 0;
  return !ioctl(s->fd, FIONREAD, &n) && n > 0;
}

static void free_secure(ByteStream *s) {
  if (s->tls) tls_stream_free(s->tls);
  tls_context_release(s->tls_context);
  s->tls = NULL;
  s->tls_context = NULL;
}

static void on_closed(uv_handle_t *handle) {
  ByteStream *s = handle->data;
  if (s->tls_context) free_secure(s);
  s->user->closed(s);
}

/* A server that has not read its first byte yet may have a write, but no session. */
static void close_secure(ByteStream *s, bool reset) {
  if (s->tls && !reset) tls_stream_close(s->tls);
  if (s->write) free_write(s->write);
}

void byte_stream_close(ByteStream *s, bool reset) {
  if (s->below) {
    s->below->close(s, reset);
    return;
  }
  if (s->tls_context) close_secure(s, reset);
  if (!reset || uv_tcp_close_reset(&s->tcp, on_closed)) uv_close((uv_handle_t *)&s->tcp, on_closed);
}
