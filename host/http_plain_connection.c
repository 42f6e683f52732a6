#include "http_plain_connection.h"

#include "http_plain_exchange.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)
#define KEPT_BUFFER 4096 /* bytes of a buffer that an idle connection keeps */

/* --- life --- */

static void connection_free(PlainConnection *c) {
  buffer_free(&c->writing);
  buffer_free(&c->out);
  free(c);
}

static void on_closed(uv_handle_t *handle) { connection_free(handle->data); }

void plain_connection_close(PlainConnection *c) {
  PlainOrigin *origin = c->origin;
  if (c->idle) plain_pool_remove_idle(c);
  if (c->exchange) c->exchange->connection = NULL;
  c->exchange = NULL;
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  if (c->dial) http_dial_cancel(c->dial);
  if (c->has_handle)
    uv_close(&c->handle, on_closed);
  else
    connection_free(c);
  plain_pool_closed(origin);
}

static void empty(Buffer *b) {
  b->len = 0;
  if (b->cap > KEPT_BUFFER) buffer_free(b);
}

/* --- writing --- */

size_t plain_connection_unsent(const PlainConnection *c) {
  return c->is_writing ? uv_stream_get_write_queue_size(&c->stream) + c->out.len : 0;
}

/* Where the server has hung up, its response may still be there to be read, and say why: reading
   finds out. Other errors are the end. */
static void fail_writing(PlainConnection *c, int error) {
  c->write_failed = true;
  c->out.len = 0;
  if (error != UV_EPIPE && error != UV_ECONNRESET) plain_exchange_fail_with(c->exchange, error);
}

static void on_written(uv_write_t *request, int status);

static void write_now(PlainConnection *c, const uv_buf_t *pieces, unsigned n) {
  int error = uv_write(&c->write, &c->stream, pieces, n, on_written);
  c->is_writing = !error;
  if (error) fail_writing(c, error);
}

/* Hands `out` on to libuv. */
static void write_out(PlainConnection *c) {
  Buffer written = c->writing;
  c->writing = c->out;
  written.len = 0;
  c->out = written;
  uv_buf_t all = {.base = c->writing.data, .len = c->writing.len};
  write_now(c, &all, 1);
}

static void on_written(uv_write_t *request, int status) {
  PlainConnection *c = request->handle->data;
  if (uv_is_closing(&c->handle)) return;
  c->is_writing = false;
  if (status < 0)
    fail_writing(c, status);
  else if (c->out.len)
    write_out(c);
  if (c->exchange) plain_exchange_notify(c->exchange);
}

/* Writes what can be written at once. `pieces` become what is left. */
static void try_write(PlainConnection *c, uv_buf_t *pieces, unsigned n) {
  int sent = uv_try_write(&c->stream, pieces, n);
  if (sent < 0 && sent != UV_EAGAIN) fail_writing(c, sent);
  if (sent < 0) return;
  for (size_t left = (size_t)sent; left; pieces++) {
    size_t part = left < pieces->len ? left : pieces->len;
    pieces->base += part;
    pieces->len -= part;
    left -= part;
  }
}

bool plain_connection_write(PlainConnection *c, const uv_buf_t *pieces, unsigned n) {
  uv_buf_t left[4];
  size_t sum = 0;
  memcpy(left, pieces, n * sizeof *pieces);
  if (!c->is_writing && !c->write_failed) try_write(c, left, n);
  if (c->write_failed) return true;
  for (unsigned i = 0; i < n; i++) sum += left[i].len;
  if (!sum) return true;
  if (!buffer_reserve(&c->out, sum)) return false;
  for (unsigned i = 0; i < n; i++) buffer_add(&c->out, left[i].base, left[i].len);
  if (!c->is_writing) write_out(c);
  return true;
}

/* Sends the head of the request, and the body it has. Both stay where they are until the exchange
   is over; and where it is over before they are sent, the connection is closed. */
static void send_request(PlainConnection *c) {
  PlainExchange *x = c->exchange;
  const PlainRequest *r = &x->request;
  uv_buf_t pieces[2] = {{.base = x->head.data, .len = x->head.len}};
  if (r->framing == PLAIN_BODY_WHOLE && r->body_len)
    pieces[1] = (uv_buf_t){.base = (char *)r->body, .len = r->body_len};
  unsigned n = pieces[1].len ? 2 : 1; /* libuv would write an empty piece, too */
  try_write(c, pieces, n);
  if (c->write_failed || (!pieces[0].len && !pieces[1].len)) return;
  if (pieces[0].len)
    write_now(c, pieces, n);
  else
    write_now(c, pieces + 1, 1);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  PlainConnection *c = handle->data;
  PlainClient *client = c->origin->pool->client;
  if (!client->read_buffer) client->read_buffer = malloc(READ_SIZE);
  *buf = uv_buf_init(client->read_buffer, client->read_buffer ? READ_SIZE : 0);
}

/* The response is complete. */
static void finish(PlainConnection *c) {
  PlainExchange *x = c->exchange;
  PlainPool *pool = c->origin->pool;
  bool keep = x->response.keep_alive && x->body_ended && !c->is_writing && !c->write_failed &&
              !x->says_close && pool->idle_ms;
  c->exchange = NULL;
  x->connection = NULL;
  if (keep) {
    c->kept = true;
    empty(&c->writing);
    empty(&c->out);
    uv_unref(&c->handle); /* idle, it does not keep the loop alive */
    plain_pool_add_idle(c);
  } else {
    plain_connection_close(c);
  }
  plain_exchange_complete(x);
  if (pool->lines) plain_pool_serve(pool);
}

/* The connection ended before the response was there: with a libuv error, or UV_EOF. */
static void lose(PlainConnection *c, int error) {
  PlainExchange *x = c->exchange;
  PlainResponse *r = &x->response;
  if (c->kept && !r->began && !x->replaced && x->idempotent &&
      x->request.framing == PLAIN_BODY_WHOLE) {
    x->replaced = true;
    plain_pool_replace(c);
  } else if (error == UV_EOF && plain_response_end(r)) {
    finish(c);
  } else if (r->error) {
    plain_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
  } else {
    plain_exchange_fail_with(x, error);
  }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  PlainConnection *c = stream->data;
  PlainExchange *x = c->exchange;
  if (n == 0) return;
  if (!x) { /* the server ends an idle connection, or talks out of turn */
    PlainPool *pool = c->origin->pool;
    plain_connection_close(c);
    if (pool->lines) plain_pool_serve(pool);
    return;
  }
  if (n < 0) {
    lose(c, (int)n);
    return;
  }
  PlainResponse *r = &x->response;
  if (!plain_response_feed(r, buf->base, (size_t)n)) {
    plain_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
  } else if (r->complete) {
    finish(c);
  } else {
    if (r->by_pieces && plain_response_waiting(r) > PLAIN_MAX_UNREAD) {
      uv_read_stop(stream);
      c->paused = true;
    }
    plain_exchange_notify(x);
  }
}

void plain_connection_read_on(PlainConnection *c) {
  if (!c->paused) return;
  c->paused = false;
  if (uv_read_start(&c->stream, on_alloc, on_read)) plain_exchange_fail_with(c->exchange, UV_EIO);
}

bool plain_connection_is_quiet(PlainConnection *c) {
  uv_os_fd_t fd;
  char byte;
  if (uv_fileno(&c->handle, &fd)) return false;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- beginning --- */

void plain_connection_begin(PlainConnection *c, PlainExchange *x) {
  c->exchange = x;
  x->connection = c;
  uv_ref(&c->handle);
  send_request(c);
  plain_exchange_notify(x); /* an upload may have waited in line */
}

/* Makes the connected socket libuv's. Returns 0 or a libuv error; `fd` is taken over. */
static int open_socket(PlainConnection *c, int fd) {
  uv_loop_t *loop = &c->origin->pool->client->rt->loop;
  bool local = c->origin->endpoint.unix_path;
  int error = local ? uv_pipe_init(loop, &c->pipe, 0) : uv_tcp_init(loop, &c->tcp);
  if (!error) {
    c->has_handle = true;
    c->handle.data = c;
    error = local ? uv_pipe_open(&c->pipe, fd) : uv_tcp_open(&c->tcp, fd);
  }
  if (error) {
    close(fd);
    return error;
  }
  if (!local) uv_tcp_nodelay(&c->tcp, 1);
  return uv_read_start(&c->stream, on_alloc, on_read);
}

static void on_dialed(void *data, int result) {
  PlainConnection *c = data;
  PlainExchange *x = c->exchange;
  c->dial = NULL;
  int error = result < 0 ? result : open_socket(c, result);
  if (error == UV_ETIMEDOUT) {
    plain_exchange_fail(x, "timeout", "CURLE_OPERATION_TIMEDOUT", "not connected within %d s",
                        HTTP_DIAL_SECONDS);
  } else if (error) {
    plain_exchange_fail_with(x, error);
  } else {
    send_request(c);
    plain_exchange_notify(x);
  }
}

bool plain_connection_new(PlainOrigin *origin, PlainExchange *x) {
  PlainConnection *c = calloc(1, sizeof *c);
  if (!c) return false;
  PlainPool *pool = origin->pool;
  c->origin = origin;
  c->exchange = x;
  x->connection = c;
  c->link = &pool->all;
  c->next = pool->all;
  if (c->next) c->next->link = &c->next;
  pool->all = c;
  int result = http_dial_start(pool->client->rt, &origin->endpoint, on_dialed, c, &c->dial);
  if (result != HTTP_DIALING) on_dialed(c, result);
  return true;
}
