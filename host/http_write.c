#include "http_write.h"

#include "http_server.h"
#include "http_stream.h"
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

struct HttpWrite {
  uv_write_t request;
  HttpConnection *connection;
  Buffer data;
  HttpPace pace;
  size_t unsent; /* when it was last looked at */
};

static void on_written(uv_write_t *request, int status) {
  HttpWrite *w = (HttpWrite *)request;
  HttpConnection *c = w->connection;
  buffer_free(&w->data);
  free(w);
  c->write = NULL;
  c->write_deadline = 0;
  if (c->closing) return;
  if (status < 0) {
    http_connection_abort(c);
    return;
  }
  http_connection_written(c);
}

/* Bytes of responses that the client's side has not acknowledged. */
static size_t count_unsent(const HttpConnection *c) {
  int in_kernel = 0;
  if (ioctl(c->fd, SIOCOUTQ, &in_kernel)) in_kernel = 0;
  return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) + (size_t)in_kernel;
}

static void renew_write_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  c->write_deadline = http_pace_deadline(&c->write->pace, http_server_now(c->server),
                                         l->write_timeout, l->write_rate);
}

/* Hands the rest of `out` from `sent` on to libuv. */
static void write_rest(HttpConnection *c, size_t sent) {
  HttpWrite *w = calloc(1, sizeof *w);
  if (!w) {
    http_connection_abort(c);
    return;
  }
  w->connection = c;
  w->data = c->out;
  c->out = (Buffer){0};
  uv_buf_t piece = uv_buf_init(w->data.data + sent, (unsigned)(w->data.len - sent));
  if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &piece, 1, on_written)) {
    buffer_free(&w->data);
    free(w);
    http_connection_abort(c);
    return;
  }
  c->write = w;
  w->unsent = count_unsent(c);
  renew_write_deadline(c);
}

void http_write_start(HttpConnection *c) {
  bool behind = false;
  if (c->stream) {
    c->stream->sent = true;
    behind = c->stream->behind;
  }
  /* Not uv_try_write: it is a good part of what a response costs, and nothing waits in libuv. */
  ssize_t sent = behind ? 0 : send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    http_connection_abort(c);
  } else if (sent > 0 && (size_t)sent == c->out.len) {
    http_server_give_out(c->server, &c->out);
  } else {
    write_rest(c, sent > 0 ? (size_t)sent : 0);
  }
}

size_t http_write_at_once(HttpConnection *c, const struct iovec *parts, size_t n) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n};
  ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
  return sent > 0 ? (size_t)sent : 0;
}

bool http_write_expire(HttpConnection *c) {
  HttpWrite *w = c->write;
  size_t unsent = count_unsent(c);
  size_t moved = unsent < w->unsent ? w->unsent - unsent : 0;
  w->unsent = unsent;
  w->pace.moved += moved;
  if (moved) {
    renew_write_deadline(c);
    if (c->write_deadline > http_server_now(c->server)) return false; /* slow, but it does move */
  }
  http_connection_abort(c);
  return true;
}
