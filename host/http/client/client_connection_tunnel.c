/* Part of client_connection.h: a tunnel through a proxy (RFC 9110 section 9.3.6), in which TLS
   begins. The proxy says nothing behind the head of its answer, as the server behind it waits for
   our first word. */
#include "http/client/client_connection.h"
#include "http/client/client_exchange.h"
#include "http/client/client_tunnel.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
  PIECE = 2048,     /* bytes of one read */
  MOST_REASON = 80, /* bytes of a reason that are shown */
};

static void on_late(Timer *timer) {
  ClientConnection *c = container_of(timer, ClientConnection, limit);
  client_connection_fail(c, "timeout", "TIMED_OUT", "not connected within %d s", DIAL_SECONDS);
}

bool client_connection_limit(ClientConnection *c) {
  Runtime *rt = c->origin->pool->client->rt;
  timer_clear(&rt->timers, &c->limit);
  return !timer_set(&rt->timers, &c->limit, timer_due(runtime_now(rt), DIAL_SECONDS), on_late);
}

/* --- the request --- */

static bool add(Buffer *b, const char *text) { return buffer_add(b, text, strlen(text)); }

/* The host, and always a port. */
static bool add_place(Buffer *b, const HttpUrl *url) {
  return client_pool_add_host(b, url) && (url->port != 443 || add(b, ":443"));
}

static bool build(Buffer *b, const ClientOrigin *o, const HttpUrl *url) {
  bool ok = add(b, "CONNECT ") && add_place(b, url) && add(b, " HTTP/1.1\r\nHost: ") &&
            add_place(b, url) && add(b, "\r\n" CLIENT_USER_AGENT);
  if (ok && o->credentials)
    ok = add(b, "Proxy-Authorization: ") && add(b, o->credentials) && add(b, "\r\n");
  return ok && add(b, "\r\n");
}

void client_connection_open_tunnel(ClientConnection *c) {
  ClientExchange *x = c->exchange;
  Buffer *head = &c->origin->pool->client->head;
  head->len = 0;
  c->tunnels = true;
  struct iovec piece = {0};
  bool ok = client_connection_limit(c) && build(head, c->origin, &x->request.url);
  if (ok) piece = (struct iovec){.iov_base = head->data, .iov_len = head->len};
  if (!ok || !client_connection_write(c, &piece, 1)) client_connection_fail_with(c, UV_ENOMEM);
}

/* --- the answer --- */

/* False. */
static bool fail(ClientConnection *c, const char *what) {
  const DialEndpoint *proxy = &c->origin->endpoint;
  client_connection_fail(c, "network", "PROXY", "the proxy %s, port %u, %s", proxy->host,
                         proxy->port, what);
  return false;
}

/* Any other status than 2xx: it is said, with its reason. */
static bool refuse(ClientConnection *c, const char *line, size_t n) {
  char what[MOST_REASON + 100], reason[MOST_REASON + 1];
  size_t len = 0;
  for (size_t i = 13; i < n && len < MOST_REASON && line[i] >= ' ' && line[i] <= '~'; i++)
    reason[len++] = line[i];
  snprintf(what, sizeof what, "refuses the tunnel with status %.3s%s%.*s", line + 9,
           len ? ": " : "", (int)len, reason);
  return fail(c, what);
}

/* Looks at what has come. False: there is nothing more to read here; the connection may be
   closed. */
static bool take(ClientConnection *c) {
  ClientTunnelAnswer answer = client_tunnel_read(c->answer.data, c->answer.len);
  switch (answer.state) {
  case CLIENT_TUNNEL_MORE:
    return true;
  case CLIENT_TUNNEL_WRONG:
    return fail(c, answer.wrong);
  case CLIENT_TUNNEL_REFUSED:
    return refuse(c, answer.line, answer.n);
  case CLIENT_TUNNEL_OPEN:
    c->tunnels = false;
    buffer_free(&c->answer);
    client_connection_open_tls(c);
  }
  return false;
}

void client_connection_read_tunnel(ClientConnection *c) {
  for (;;) {
    if (!buffer_reserve(&c->answer, PIECE)) {
      client_connection_fail_with(c, UV_ENOMEM);
      return;
    }
    ssize_t n = recv(c->fd, c->answer.data + c->answer.len, PIECE, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      fail(c, uv_strerror(-errno));
      return;
    }
    if (n == 0) {
      fail(c, "ends the connection instead of opening a tunnel");
      return;
    }
    c->answer.len += (size_t)n;
    if (!take(c)) return;
  }
}
