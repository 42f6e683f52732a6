#include "http_plain_connection.h"

#include "http_plain_exchange.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)
#define MOST_IN_TURN 16  /* reads of one connection in a row, before others have their turn */
#define KEPT_BUFFER 4096 /* bytes of a buffer that is kept for what comes next */

static PlainClient *client_of(const PlainConnection *c) { return c->origin->pool->client; }

/* --- life --- */

/* A connection with an exchange keeps the loop alive; one that is idle or being made does not. */
static void set_busy(PlainConnection *c, bool busy) {
  if (c->busy == busy) return;
  c->busy = busy;
  if (busy)
    plain_poll_hold(&client_of(c)->poll);
  else
    plain_poll_let_go(&client_of(c)->poll);
}

void plain_connection_free(PlainConnection *c) {
  buffer_free(&c->out);
  free(c);
}

void plain_connection_close(PlainConnection *c) {
  PlainOrigin *origin = c->origin;
  PlainPoll *poll = &client_of(c)->poll;
  if (c->idle) plain_pool_remove_idle(c);
  if (c->exchange) c->exchange->connection = NULL;
  c->exchange = NULL;
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  if (c->dial) http_dial_cancel(c->dial);
  set_busy(c, false);
  if (c->fd >= 0) {
    plain_poll_remove(poll, c->fd);
    close(c->fd);
    c->fd = -1;
  }
  plain_poll_free(poll, c);
  plain_pool_closed(origin);
}

/* --- writing --- */

size_t plain_connection_unsent(const PlainConnection *c) {
  return c->out.len - c->sent + c->body_left;
}

static void forget_unsent(PlainConnection *c) { c->out.len = c->sent = c->body_left = 0; }

/* Where the server has hung up, its response may still be there to be read, and say why: reading
   finds out. Other errors are the end, of the connection, too: false. */
static bool fail_writing(PlainConnection *c, int error) {
  c->write_failed = true;
  forget_unsent(c);
  if (error == EPIPE || error == ECONNRESET) return true;
  plain_exchange_fail_with(c->exchange, -error);
  return false;
}

/* Sends what can be sent at once. `pieces` become what is left. Returns 0 or what errno says. */
static int send_pieces(int fd, struct iovec *pieces, unsigned n) {
  while (n) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = n};
    ssize_t sent = n == 1 ? send(fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                          : sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? 0 : errno;
    for (size_t left = (size_t)sent; n; pieces++, n--) {
      size_t part = left < pieces->iov_len ? left : pieces->iov_len;
      pieces->iov_base = (char *)pieces->iov_base + part;
      pieces->iov_len -= part;
      left -= part;
      if (pieces->iov_len) break;
    }
  }
  return 0;
}

/* Sends what could not be sent before. False when the connection is closed over it. */
static bool send_rest(PlainConnection *c) {
  struct iovec pieces[2] = {
      {.iov_base = c->out.data + c->sent, .iov_len = c->out.len - c->sent},
      {.iov_base = (char *)c->body, .iov_len = c->body_left},
  };
  int error = send_pieces(c->fd, pieces, 2);
  if (error) return fail_writing(c, error);
  c->sent = c->out.len - pieces[0].iov_len;
  c->body = pieces[1].iov_base;
  c->body_left = pieces[1].iov_len;
  if (c->sent == c->out.len) c->out.len = c->sent = 0;
  return true;
}

/* Keeps a piece until it can be sent. */
static bool keep(PlainConnection *c, const struct iovec *piece) {
  if (c->sent > c->out.len / 2) {
    memmove(c->out.data, c->out.data + c->sent, c->out.len - c->sent);
    c->out.len -= c->sent;
    c->sent = 0;
  }
  return buffer_add(&c->out, piece->iov_base, piece->iov_len);
}

bool plain_connection_write(PlainConnection *c, const struct iovec *pieces, unsigned n) {
  struct iovec left[4];
  memcpy(left, pieces, n * sizeof *pieces);
  if (c->write_failed) return true;
  if (!plain_connection_unsent(c)) {
    int error = send_pieces(c->fd, left, n);
    if (error) {
      fail_writing(c, error);
      return true;
    }
  }
  for (unsigned i = 0; i < n; i++)
    if (!keep(c, &left[i])) return false;
  return true;
}

/* Sends the head of the request, and the body it has, which stays where it is until the exchange is
   over; and where that is over before all is sent, the connection is closed. */
static void send_request(PlainConnection *c) {
  PlainExchange *x = c->exchange;
  const PlainRequest *r = &x->request;
  Buffer *head = &client_of(c)->head;
  if (head->cap > KEPT_BUFFER) buffer_free(head);
  head->len = 0;
  if (!plain_exchange_build(x, c->origin, head)) {
    plain_exchange_fail_memory(x);
    return;
  }
  struct iovec pieces[2] = {{.iov_base = head->data, .iov_len = head->len}};
  if (r->framing == PLAIN_BODY_WHOLE && r->body)
    pieces[1] = (struct iovec){.iov_base = (char *)r->body, .iov_len = r->body_len};
  int error = send_pieces(c->fd, pieces, pieces[1].iov_len ? 2 : 1);
  if (error) {
    fail_writing(c, error);
    return;
  }
  c->body = pieces[1].iov_base;
  c->body_left = pieces[1].iov_len;
  if (pieces[0].iov_len && !keep(c, &pieces[0])) plain_exchange_fail_memory(x);
}

/* --- reading --- */

/* The response is complete. */
static void finish(PlainConnection *c) {
  PlainExchange *x = c->exchange;
  PlainPool *pool = c->origin->pool;
  bool keep = x->response.keep_alive && x->body_ended && !plain_connection_unsent(c) &&
              !c->write_failed && !x->says_close && pool->idle_ms;
  c->exchange = NULL;
  x->connection = NULL;
  if (keep) {
    c->kept = true;
    if (c->out.cap > KEPT_BUFFER) buffer_free(&c->out);
    set_busy(c, false);
    plain_pool_add_idle(c);
  } else {
    plain_connection_close(c);
  }
  plain_exchange_complete(x);
  if (pool->lines) plain_pool_serve(pool);
}

/* The connection ended: with a libuv error, or UV_EOF. */
static void lose(PlainConnection *c, int error) {
  PlainExchange *x = c->exchange;
  PlainPool *pool = c->origin->pool;
  if (!x) { /* it was idle */
    plain_connection_close(c);
    if (pool->lines) plain_pool_serve(pool);
    return;
  }
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

/* Takes what was read. Is more of the response to come? */
static bool take(PlainConnection *c, const char *bytes, size_t n) {
  PlainExchange *x = c->exchange;
  if (!x) { /* the server talks out of turn */
    lose(c, UV_EOF);
    return false;
  }
  PlainResponse *r = &x->response;
  if (!plain_response_feed(r, bytes, n)) {
    plain_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
    return false;
  }
  if (r->complete) {
    finish(c);
    return false;
  }
  c->paused = r->by_pieces && plain_response_waiting(r) > PLAIN_MAX_UNREAD;
  plain_exchange_notify(x);
  return true;
}

/* Reads until a response is complete, or there is nothing more: nobody tells a second time of what
   has come. With `ends`, the connection's end is there to be read, too. */
static void read_all(PlainConnection *c, bool ends) {
  PlainClient *client = client_of(c);
  for (int i = 0; c->fd >= 0 && !c->paused; i++) {
    if (i == MOST_IN_TURN) {
      plain_poll_ask_again(&client->poll, c->fd, c);
      return;
    }
    ssize_t n = recv(c->fd, client->read_buffer, READ_SIZE, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      lose(c, n ? -errno : UV_EOF);
      return;
    }
    if (!take(c, client->read_buffer, (size_t)n) && n < READ_SIZE && !ends) return;
  }
}

void plain_connection_ready(PlainConnection *c, unsigned events) {
  if (c->fd < 0) return; /* closed by what came before it */
  if (events & EPOLLOUT && plain_connection_unsent(c)) {
    if (!send_rest(c)) return;
    plain_exchange_notify(c->exchange);
  }
  if (events & ~(unsigned)EPOLLOUT) read_all(c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

void plain_connection_read_on(PlainConnection *c) {
  if (!c->paused) return;
  c->paused = false;
  plain_poll_ask_again(&client_of(c)->poll, c->fd, c);
}

bool plain_connection_is_quiet(PlainConnection *c) {
  char byte;
  return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- beginning --- */

void plain_connection_begin(PlainConnection *c, PlainExchange *x) {
  c->exchange = x;
  x->connection = c;
  set_busy(c, true);
  send_request(c);
  plain_exchange_notify(x); /* an upload may have waited in line */
}

/* Takes the connected socket over. Returns 0 or a libuv error. */
static int open_socket(PlainConnection *c, int fd) {
  PlainClient *client = client_of(c);
  int on = 1;
  if (!c->origin->endpoint.unix_path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!client->read_buffer) client->read_buffer = malloc(READ_SIZE);
  int error =
      client->read_buffer ? plain_poll_add(&client->poll, &client->rt->loop, fd, c) : UV_ENOMEM;
  if (error) {
    close(fd);
    return error;
  }
  c->fd = fd;
  set_busy(c, true);
  return 0;
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
  c->fd = -1;
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
