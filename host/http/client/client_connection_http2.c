/* Part of client_connection.h: a connection of HTTP/2, whose exchanges are streams of its session.
   Frames that are made in a pass of the loop leave at its end, together. */
#include "http/client/client_connection.h"

#include "http/client/client_exchange.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
  AHEAD = 64 * 1024,   /* bytes that are made before the system takes them */
  PIECE = 16 * 1024,   /* bytes of a write: a record of TLS */
  LAST_WORDS = 4096,   /* bytes that may still be said at the end */
  ANSWER_SECONDS = 10, /* until a server that says nothing is given up */
};

static ClientPools *client_of(const ClientConnection *c) { return c->origin->pool->client; }

static ClientExchange *exchange_of(ClientStream *stream) {
  return container_of(stream, ClientExchange, stream);
}

/* --- out --- */

static void forget_sending(ClientHttp2 *h) {
  if (!h->link) return;
  *h->link = h->next;
  if (h->next) h->next->http2->link = h->link;
  h->link = NULL;
}

static bool send_piece(ClientConnection *c, Buffer *frames) {
  frames->len = 0;
  if (!client_session_pull(&c->http2->session, frames, PIECE)) return false;
  struct iovec piece = {.iov_base = frames->data, .iov_len = frames->len};
  return !frames->len || client_connection_write(c, &piece, 1);
}

static void look_at_changes(ClientConnection *c);

/* Sends what there is to send. */
static void send_frames(ClientConnection *c) {
  Buffer *frames = &client_of(c)->frames;
  do {
    if (c->write_failed || client_connection_unsent(c) >= AHEAD) break;
    if (!send_piece(c, frames)) {
      if (c->http2) client_connection_fail_with(c, UV_ENOMEM);
      return;
    }
  } while (c->http2 && frames->len);
  if (!c->http2) return;
  look_at_changes(c);
  if (!c->http2) return;
  ClientSession *s = &c->http2->session;
  if (s->is_broken || (!s->streams && client_session_is_over(s))) client_connection_lose(c, UV_EOF);
}

static void at_pass_end(PassHook *hook, Runtime *rt) {
  (void)rt;
  ClientPools *client = container_of(hook, ClientPools, pass);
  /* What is listed meanwhile waits for the next pass. */
  ClientConnection *all = client->senders;
  client->senders = NULL;
  if (all) all->http2->link = &all;
  while (all) {
    ClientConnection *c = all;
    forget_sending(c->http2);
    send_frames(c);
  }
}

void client_connection_send_later(ClientConnection *c) {
  ClientPools *client = client_of(c);
  ClientHttp2 *h = c->http2;
  if (h->link) return;
  h->link = &client->senders;
  h->next = client->senders;
  if (h->next) h->next->http2->link = &h->next;
  client->senders = c;
  client->pass.run = at_pass_end;
  runtime_at_pass_end(client->rt, &client->pass);
}

/* --- exchanges --- */

static bool is_usable(const ClientConnection *c) {
  const ClientHttp2 *h = c->http2;
  return !h->is_last && !h->asks && !c->write_failed && client_session_room(&h->session, true);
}

bool client_connection_has_room(const ClientConnection *c, const ClientExchange *x) {
  bool again = x->request.framing == CLIENT_BODY_WHOLE;
  return is_usable(c) && client_session_room(&c->http2->session, again);
}

void client_connection_begin_stream(ClientConnection *c, ClientExchange *x) {
  ClientHttp2 *h = c->http2;
  const ClientRequest *r = &x->request;
  bool whole = r->framing == CLIENT_BODY_WHOLE;
  size_t n = client_exchange_fields(x, c->origin);
  x->stream = (ClientStream){.response = &x->response,
                             .has_body = !whole || (r->body && r->body_len),
                             .body_ended = whole,
                             .body = whole ? r->body : NULL,
                             .body_left = whole && r->body ? r->body_len : 0};
  x->connection = c;
  if (!h->session.streams) client_pool_share(c);
  client_connection_set_busy(c, true);
  if (!n ||
      !client_session_begin(&h->session, &x->stream, (nghttp2_nv *)client_of(c)->fields.data, n)) {
    client_exchange_fail_memory(x);
    return;
  }
  if (x->says_close) h->is_last = true;
  client_connection_send_later(c);
  client_exchange_notify(x); /* an upload may have waited for the connection */
}

/* Has it no streams any more? Then it is idle, or it is closed. */
static void settle(ClientConnection *c) {
  if (c->http2->session.streams) return;
  client_pool_unshare(c);
  client_connection_set_busy(c, false);
  c->on_top = NULL;
  if (is_usable(c) && c->origin->pool->idle_ms)
    client_pool_add_idle(c);
  else
    client_connection_close(c);
}

static void leave_stream(ClientConnection *c, ClientExchange *x) {
  client_session_end_stream(&x->stream);
  x->connection = NULL;
  client_connection_send_later(c);
  settle(c);
}

void client_connection_leave(ClientConnection *c, ClientExchange *x) {
  if (c->http2)
    leave_stream(c, x);
  else if (c->exchange != x || !client_pool_hand_over(c))
    client_connection_close(c);
}

/* The stream has ended without a response. */
static void end(ClientConnection *c, ClientExchange *x) {
  ClientStreamEnd how = x->stream.end;
  uint32_t code = x->stream.code;
  const Http2Library *lib = c->http2->session.library;
  if (how == CLIENT_STREAM_WANTS_HTTP_1) {
    c->origin->protocol = CLIENT_HTTP_1;
    c->origin->takes_http2 = false;
    c->http2->is_last = true;
  }
  ClientOrigin *o = c->origin;
  o->connections++; /* keeps the origin, which knows what it speaks */
  o->pool->connections++;
  leave_stream(c, x);
  if (how == CLIENT_STREAM_RESET || !client_exchange_repeat(x))
    client_exchange_fail(x, "network", "HTTP2_STREAM", "the server has reset the stream: %s",
                         lib->nghttp2_http2_strerror(code));
  ClientPool *pool = o->pool;
  client_pool_closed(o);
  if (pool->lines) client_pool_serve(pool);
}

static void look_at(ClientConnection *c, ClientExchange *x) {
  const ClientResponse *r = &x->response;
  if (r->error) {
    client_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
  } else if (r->complete) {
    c->kept = true;
    leave_stream(c, x);
    client_exchange_complete(x);
  } else if (x->stream.end != CLIENT_STREAM_OPEN) {
    end(c, x);
  } else {
    client_exchange_notify(x);
  }
}

static void look_at_changes(ClientConnection *c) {
  for (ClientStream *stream; c->http2 && (stream = client_session_changed(&c->http2->session));)
    look_at(c, exchange_of(stream));
}

/* --- is the server still there? --- */

static void on_silence(Timer *timer) {
  client_connection_lose(container_of(timer, ClientConnection, limit), UV_ETIMEDOUT);
}

void client_connection_doubt(ClientConnection *c, const ClientExchange *x) {
  ClientHttp2 *h = c->http2;
  Runtime *rt = client_of(c)->rt;
  if (h->asks || h->session.heard != x->stream.heard) return;
  h->asks =
      !timer_set(&rt->timers, &c->limit, timer_due(runtime_now(rt), ANSWER_SECONDS), on_silence);
  client_session_ask(&h->session);
  client_connection_send_later(c);
}

static void stop_asking(ClientConnection *c) {
  if (!c->http2->asks) return;
  c->http2->asks = false;
  timer_clear(&client_of(c)->rt->timers, &c->limit);
}

/* --- in --- */

bool client_connection_take_frames(ClientConnection *c, const char *bytes, size_t n) {
  ClientOrigin *o = c->origin;
  ClientPool *pool = o->pool;
  ClientSession *s = &c->http2->session;
  stop_asking(c);
  client_session_feed(s, bytes, n, uv_now(&pool->client->rt->loop));
  if (s->is_settled && o->dialing == c) o->dialing = NULL;
  look_at_changes(c);
  if (c->http2) client_connection_send_later(c);
  if (c->http2 && c->idle && !is_usable(c)) client_connection_close(c);
  if (pool->lines) client_pool_serve(pool);
  return c->http2;
}

/* --- the beginning and the end --- */

void client_connection_open_http2(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  ClientPool *pool = o->pool;
  ClientExchange *x = c->exchange;
  const char *why;
  const Http2Library *lib = http2_library(&why);
  if (!lib) {
    client_connection_fail(c, "http", "HTTP2", "HTTP/2 needs libnghttp2: %s", why);
    return;
  }
  ClientHttp2 *h = calloc(1, sizeof *h);
  if (!h || !client_session_open(&h->session, lib)) {
    if (h) client_session_close(&h->session);
    free(h);
    client_connection_fail_with(c, UV_ENOMEM);
    return;
  }
  o->protocol = CLIENT_HTTP_2;
  c->http2 = h;
  c->exchange = NULL;
  client_connection_begin_stream(c, x);
  if (pool->lines) client_pool_serve(pool); /* others have waited for it */
}

void client_connection_close_http2(ClientConnection *c) {
  ClientHttp2 *h = c->http2;
  if (!h) return;
  forget_sending(h);
  timer_clear(&client_of(c)->rt->timers, &c->limit);
  c->http2 = NULL;
  Buffer *frames = &client_of(c)->frames;
  frames->len = 0;
  if (c->fd >= 0 && !c->write_failed && !client_connection_unsent(c)) {
    client_session_leave(&h->session);
    struct iovec piece = {0};
    if (client_session_pull(&h->session, frames, LAST_WORDS) && frames->len) {
      piece = (struct iovec){.iov_base = frames->data, .iov_len = frames->len};
      client_connection_write(c, &piece, 1);
    }
  }
  client_session_close(&h->session);
  free(h);
}

/* Takes all exchanges off the connection, and those that wait for it alone out of the line: they
   are linked by `next`. */
static ClientExchange *take_exchanges(ClientConnection *c) {
  ClientExchange *list = NULL;
  if (!c->http2) {
    list = client_pool_take_waiting(c);
    ClientExchange *x = c->exchange;
    c->exchange = NULL;
    if (x) {
      x->connection = NULL;
      x->next = list;
      list = x;
    }
    return list;
  }
  ClientSession *s = &c->http2->session;
  if (s->streams) client_pool_unshare(c);
  while (s->first) {
    ClientExchange *x = exchange_of(s->first);
    client_session_end_stream(&x->stream);
    x->connection = NULL;
    x->next = list;
    list = x;
  }
  return list;
}

void client_connection_fail(ClientConnection *c, const char *kind, const char *code,
                            const char *format, ...) {
  char why[TLS_ERROR_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  ClientExchange *list = take_exchanges(c);
  client_connection_close(c);
  for (ClientExchange *x; (x = list);) {
    list = x->next;
    client_exchange_fail(x, kind, code, "%s", why);
  }
}

void client_connection_fail_with(ClientConnection *c, int error) {
  ClientExchange *list = take_exchanges(c);
  client_connection_close(c);
  for (ClientExchange *x; (x = list);) {
    list = x->next;
    client_exchange_fail_with(x, error);
  }
}

/* What the end of a connection means for an exchange on it. */
typedef struct Loss {
  int error;
  const char *kind, *code; /* NULL: what `error` says */
  char why[TLS_ERROR_MAX];
} Loss;

static void describe(const ClientConnection *c, int error, Loss *loss) {
  const ClientSession *s = &c->http2->session;
  loss->error = error;
  if (*s->error) {
    loss->kind = s->is_broken ? "http" : "network";
    loss->code = "HTTP2";
    snprintf(loss->why, sizeof loss->why, "%s", s->error);
  } else if (error == UV_EPROTO && c->tls && c->tls->error) {
    loss->kind = "tls";
    loss->code = "EPROTO";
    snprintf(loss->why, sizeof loss->why, "%s", c->tls->error);
  }
}

static void fail_lost(ClientExchange *x, const Loss *loss) {
  if (loss->kind)
    client_exchange_fail(x, loss->kind, loss->code, "%s", loss->why);
  else if (loss->error != UV_EOF)
    client_exchange_fail_with(x, loss->error);
  else if (x->response.began)
    client_exchange_fail(x, "network", "INCOMPLETE",
                         "the connection was closed in the middle of the response");
  else
    client_exchange_fail(x, "network", "NO_RESPONSE",
                         "the server closed the connection without a response");
}

void client_connection_lose_http2(ClientConnection *c, int error) {
  ClientPool *pool = c->origin->pool;
  Loss loss = {0};
  describe(c, error, &loss);
  bool kept = c->kept && !c->http2->session.is_broken;
  ClientExchange *list = take_exchanges(c);
  client_connection_close(c);
  for (ClientExchange *x; (x = list);) {
    list = x->next;
    x->next = NULL;
    /* As a kept connection of HTTP/1, it may have ended before the request came. */
    if (kept && x->idempotent && !x->replaced && !x->response.began && client_exchange_repeat(x))
      x->replaced = true;
    else
      fail_lost(x, &loss);
  }
  if (pool->lines) client_pool_serve(pool);
}
