#include "http/client/client_connection.h"

#include "http/client/client_exchange.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE CLIENT_READ_BUFFER
#define MOST_IN_TURN 16  /* reads of one connection in a row before others get their turn */
#define KEPT_BUFFER 4096 /* largest buffer that is kept for the next exchange */

static ClientPools *client_of(const ClientConnection *c) { return c->origin->pool->client; }

/* --- life --- */

/* A connection with an exchange keeps the loop alive; an idle one, or one being made, does not. */
void client_connection_set_busy(ClientConnection *c, bool busy) {
  if (c->busy == busy || c->request) return; /* nothing comes from outside on a pipe in memory */
  c->busy = busy;
  if (busy)
    client_poll_hold(&client_of(c)->poll);
  else
    client_poll_let_go(&client_of(c)->poll);
}

void client_connection_free(ClientConnection *c) {
  buffer_free(&c->out);
  buffer_free(&c->answer);
  free(c);
}

void client_connection_close(ClientConnection *c) {
  ClientOrigin *origin = c->origin;
  ClientPoll *poll = &client_of(c)->poll;
  if (c->idle) client_pool_remove_idle(c);
  if (c->exchange) c->exchange->connection = NULL;
  c->exchange = NULL;
  if (origin->dialing == c) origin->dialing = NULL;
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  if (c->dial) dial_cancel(c->dial);
  client_connection_set_busy(c, false);
  client_connection_close_http2(c);
  client_connection_close_tls(c);
  if (c->fd >= 0) {
    client_poll_remove(poll, c->fd);
    close(c->fd);
    c->fd = -1;
  }
  if (c->memory) memory_end_close(c->memory, false);
  c->memory = NULL;
  client_poll_free(poll, c);
  client_pool_closed(origin);
}

/* --- writing --- */

size_t client_connection_unsent(const ClientConnection *c) {
  return c->out.len - c->sent + c->body_left;
}

static void forget_unsent(ClientConnection *c) { c->out.len = c->sent = c->body_left = 0; }

/* If the server has hung up, its response may still be readable, and say why: reading finds out.
   Any other error ends the connection: false. */
static bool fail_writing(ClientConnection *c, int error) {
  c->write_failed = true;
  forget_unsent(c);
  if (error == EPIPE || error == ECONNRESET) return true;
  if (!c->exchange && !c->http2) return true; /* it is being closed */
  client_connection_fail_with(c, -error);
  return false;
}

/* As sendmsg, and with its errors. */
static ssize_t send_in_memory(MemoryEnd *end, const struct iovec *pieces, unsigned n) {
  ssize_t sent = memory_end_write(end, pieces, n);
  if (sent > 0) return sent;
  errno = sent ? (int)-sent : EAGAIN;
  return -1;
}

/* Sends what can be sent at once. `pieces` are reduced to the rest. Returns 0 or errno. */
static int send_pieces(const ClientConnection *c, struct iovec *pieces, unsigned n) {
  while (n) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = n};
    ssize_t sent = c->memory ? send_in_memory(c->memory, pieces, n)
                   : n == 1  ? send(c->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                             : sendmsg(c->fd, &message, MSG_NOSIGNAL);
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

/* Sends what could not be sent before. False if the connection was closed because of it. */
static bool send_rest(ClientConnection *c) {
  if (c->tls) {
    int failed = client_connection_flush_tls(c);
    return !failed || fail_writing(c, failed);
  }
  struct iovec pieces[2] = {
      {.iov_base = c->out.data + c->sent, .iov_len = c->out.len - c->sent},
      {.iov_base = (char *)c->body, .iov_len = c->body_left},
  };
  int error = send_pieces(c, pieces, 2);
  if (error) return fail_writing(c, error);
  c->sent = c->out.len - pieces[0].iov_len;
  c->body = pieces[1].iov_base;
  c->body_left = pieces[1].iov_len;
  if (c->sent == c->out.len) c->out.len = c->sent = 0;
  return true;
}

/* Keeps a piece until it can be sent. */
static bool keep(ClientConnection *c, const struct iovec *piece) {
  if (c->sent > c->out.len / 2) {
    memmove(c->out.data, c->out.data + c->sent, c->out.len - c->sent);
    c->out.len -= c->sent;
    c->sent = 0;
  }
  return buffer_add(&c->out, piece->iov_base, piece->iov_len);
}

static bool write_tls(ClientConnection *c, const struct iovec *pieces, unsigned n) {
  int error = 0;
  for (unsigned i = 0; i < n && !error; i++)
    error = tls_session_write(c->tls, pieces[i].iov_base, pieces[i].iov_len);
  if (error == UV_ENOMEM) return false;
  error = error ? -error : client_connection_flush_tls(c);
  if (error) fail_writing(c, error);
  return true;
}

bool client_connection_write(ClientConnection *c, const struct iovec *pieces, unsigned n) {
  struct iovec left[4];
  memcpy(left, pieces, n * sizeof *pieces);
  if (c->write_failed) return true;
  if (c->tls) return write_tls(c, pieces, n);
  if (!client_connection_unsent(c)) {
    int error = send_pieces(c, left, n);
    if (error) {
      fail_writing(c, error);
      return true;
    }
  }
  for (unsigned i = 0; i < n; i++)
    if (!keep(c, &left[i])) return false;
  return true;
}

/* Sends the head of the request, and its body if it has one. The body stays where it is until the
   exchange is over; if that is before all of it is sent, the connection is closed. */
static void send_request(ClientConnection *c) {
  ClientExchange *x = c->exchange;
  x->in_memory = c->request;
  if (c->request) c->request++;
  const ClientRequest *r = &x->request;
  Buffer *head = &client_of(c)->head;
  if (head->cap > KEPT_BUFFER) buffer_free(head);
  head->len = 0;
  if (!client_exchange_build(x, c->origin, head)) {
    client_exchange_fail_memory(x);
    return;
  }
  struct iovec pieces[2] = {{.iov_base = head->data, .iov_len = head->len}};
  if (r->framing == CLIENT_BODY_WHOLE && r->body)
    pieces[1] = (struct iovec){.iov_base = (char *)r->body, .iov_len = r->body_len};
  if (c->tls) {
    c->body = pieces[1].iov_base;
    c->body_left = pieces[1].iov_len;
    if (!write_tls(c, pieces, 1)) client_exchange_fail_memory(x);
    return;
  }
  int error = send_pieces(c, pieces, pieces[1].iov_len ? 2 : 1);
  if (error) {
    fail_writing(c, error);
    return;
  }
  c->body = pieces[1].iov_base;
  c->body_left = pieces[1].iov_len;
  if (pieces[0].iov_len && !keep(c, &pieces[0])) client_exchange_fail_memory(x);
}

/* --- reading --- */

/* The response is complete. */
static void finish(ClientConnection *c) {
  ClientExchange *x = c->exchange;
  ClientPool *pool = c->origin->pool;
  bool keep = x->response.keep_alive && x->body_ended && !client_connection_unsent(c) &&
              !c->write_failed && !x->says_close && pool->idle_ms;
  c->exchange = NULL;
  x->connection = NULL;
  if (keep) {
    c->kept = true;
    c->may_follow = client_response_has_no_body(&x->response);
    if (c->out.cap > KEPT_BUFFER) buffer_free(&c->out);
    client_connection_set_busy(c, false);
    client_pool_add_idle(c);
  } else {
    client_connection_close(c);
  }
  client_exchange_complete(x);
  if (pool->lines) client_pool_serve(pool);
}

void client_connection_lose(ClientConnection *c, int error) {
  if (c->http2) {
    client_connection_lose_http2(c, error);
    return;
  }
  ClientExchange *x = c->exchange;
  ClientPool *pool = c->origin->pool;
  if (!x) { /* it was idle */
    client_connection_close(c);
    if (pool->lines) client_pool_serve(pool);
    return;
  }
  ClientResponse *r = &x->response;
  bool by_tls = error == UV_EPROTO && c->tls->error;
  if (c->origin->dialing == c && by_tls) {
    client_connection_fail(c, "tls", "HANDSHAKE", "%s", c->tls->error);
  } else if (c->origin->dialing == c) {
    client_connection_fail_with(c, error);
  } else if (c->kept && !r->began && !x->replaced && x->idempotent &&
             x->request.framing == CLIENT_BODY_WHOLE) {
    x->replaced = true;
    client_pool_replace(c);
  } else if (error == UV_EOF && client_response_end(r)) {
    finish(c);
  } else if (r->error) {
    client_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
  } else if (by_tls) {
    client_exchange_fail(x, "tls", c->tls->ready ? "EPROTO" : "HANDSHAKE", "%s", c->tls->error);
  } else {
    client_exchange_fail_with(x, error);
  }
}

bool client_connection_take(ClientConnection *c, const char *bytes, size_t n) {
  if (c->http2) return client_connection_take_frames(c, bytes, n);
  ClientExchange *x = c->exchange;
  if (!x) { /* the server sends without a request */
    client_connection_lose(c, UV_EOF);
    return false;
  }
  ClientResponse *r = &x->response;
  if (!client_response_feed(r, bytes, n)) {
    client_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
    return false;
  }
  if (r->complete) {
    finish(c);
    return false;
  }
  c->paused = r->by_pieces && client_response_waiting(r) > CLIENT_MAX_UNREAD;
  client_exchange_notify(x);
  return true;
}

static bool is_open(const ClientConnection *c) { return c->fd >= 0 || c->memory; }

/* As recv, and with its errors. */
static ssize_t receive_in_memory(MemoryEnd *end, char *bytes, size_t n) {
  ssize_t got = memory_end_read(end, bytes, n);
  if (got > 0 || got == UV_EOF) return got > 0 ? got : 0;
  errno = got ? (int)-got : EAGAIN;
  return -1;
}

/* Reads until a response is complete or nothing more is there, since there is no second notice of
   what has come. With `ends`, the connection's end can be read, too. */
static void read_all(ClientConnection *c, bool ends) {
  ClientPools *client = client_of(c);
  for (int i = 0; is_open(c) && !c->paused; i++) {
    if (i == MOST_IN_TURN && !c->memory) {
      client_poll_ask_again(&client->poll, c->fd, c);
      return;
    }
    ssize_t n = c->memory ? receive_in_memory(c->memory, client->read_buffer, READ_SIZE)
                          : recv(c->fd, client->read_buffer, READ_SIZE, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      client_connection_lose(c, n ? -errno : UV_EOF);
      return;
    }
    if (!client_connection_take(c, client->read_buffer, (size_t)n) && n < READ_SIZE && !ends)
      return;
  }
}

void client_connection_ready(ClientConnection *c, unsigned events) {
  if (!is_open(c)) return; /* closed by an earlier event */
  if (events & EPOLLOUT && client_connection_unsent(c)) {
    if (!send_rest(c)) return;
    if (c->http2) client_connection_send_later(c);
    if (c->exchange) client_exchange_notify(c->exchange);
  }
  bool is_readable = events & ~(unsigned)EPOLLOUT;
  if (c->tunnels) {
    if (is_readable) client_connection_read_tunnel(c);
    return;
  }
  if (c->tls) {
    /* After a pause, what is left may be here and not in the system. */
    if (is_readable || tls_session_has_input(c->tls)) client_connection_read_tls(c);
    return;
  }
  if (is_readable) read_all(c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

void client_connection_read_on(ClientConnection *c) {
  if (!c->paused) return;
  c->paused = false;
  if (c->memory)
    memory_end_ask(c->memory);
  else
    client_poll_ask_again(&client_of(c)->poll, c->fd, c);
}

bool client_connection_is_quiet(ClientConnection *c) {
  char byte;
  if (c->memory) return !memory_end_has_news(c->memory);
  ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 ? errno == EAGAIN || errno == EINTR : n && c->http2;
}

/* --- beginning --- */

/* Is it for HTTP/2: known before, or agreed on in the handshake (RFC 9113 section 3)? */
static bool is_for_http2(const ClientConnection *c) {
  TlsAgreed agreed;
  if (!c->origin->takes_http2) return false;
  if (!c->tls) return true;
  tls_session_agreed(c->tls, &agreed);
  return agreed.alpn && agreed.n_alpn == 2 && !memcmp(agreed.alpn, "h2", 2);
}

static void start_http1(ClientConnection *c) {
  ClientExchange *x = c->exchange;
  send_request(c);
  client_exchange_notify(x); /* an upload may have waited for the connection */
}

void client_connection_start(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  if (is_for_http2(c)) {
    client_connection_open_http2(c);
    return;
  }
  ClientPool *pool = o->pool;
  bool waited_for = o->dialing == c;
  if (waited_for) o->dialing = NULL;
  o->protocol = CLIENT_HTTP_1;
  start_http1(c);
  if (waited_for && pool->lines) client_pool_serve(pool); /* they need connections of their own */
}

void client_connection_begin(ClientConnection *c, ClientExchange *x) {
  if (c->http2) {
    client_connection_begin_stream(c, x);
    return;
  }
  c->exchange = x;
  x->connection = c;
  client_connection_set_busy(c, true);
  start_http1(c);
}
