#include "http/server/http_preface.h"

#include "core/report.h"
#include "http/server/proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct HttpPreface {
  uv_poll_t poll;
  HttpServer *server;
  struct HttpPreface *next, **link; /* in the server's list, until the handle is closed */
  uint64_t deadline;                /* loop milliseconds; 0: no limit, or it is over */
  int fd;                           /* -1: it is somebody else's */
  HttpEntry entry;
  ByteStreamPeer peer;
  ProxyProtocol protocol;
} HttpPreface;

static void on_closed(uv_handle_t *handle) {
  HttpPreface *p = handle->data;
  HttpServer *server = p->server;
  *p->link = p->next;
  if (p->next) p->next->link = p->link;
  free(p);
  http_server_left(server); /* it may have been the last one of a stopping server */
}

/* Closes the handle, and the socket if that is still ours. */
static void close_preface(HttpPreface *p) {
  if (uv_is_closing((uv_handle_t *)&p->poll)) return;
  p->deadline = 0;
  uv_close((uv_handle_t *)&p->poll, on_closed);
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
}

/* Without this a proxy that is set up wrongly only sees its connections end. */
static void report(HttpPreface *p, const char *why) {
  if (p->server->told_of_preface) return;
  p->server->told_of_preface = true;
  char address[NETWORK_TEXT] = "a Unix socket";
  bool v6 = p->peer.any.sa_family == AF_INET6;
  if (v6 || p->peer.any.sa_family == AF_INET)
    inet_ntop(p->peer.any.sa_family,
              v6 ? (const void *)&p->peer.v6.sin6_addr : (const void *)&p->peer.v4.sin_addr,
              address, sizeof address);
  report_sayf(p->server->rt, LOG_WARN,
              "a connection from %s was closed: %s (this is reported once)", address, why);
}

/* The header is there: the connection begins. */
static void begin(HttpPreface *p) {
  int fd = p->fd;
  uv_poll_stop(&p->poll);
  p->fd = -1;
  http_connection_open(p->server, fd, p->entry,
                       p->protocol.has_source ? &p->protocol.source : NULL);
  close_preface(p);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  HttpPreface *p = poll->data;
  (void)events;
  char bytes[512];
  while (status == 0) {
    size_t used = 0;
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) break;
    ProxyProgress progress = proxy_protocol_feed(&p->protocol, bytes, (size_t)n, &used);
    if (progress == PROXY_BAD) {
      report(p, "it does not begin with a header of the PROXY protocol, which --proxy-protocol "
                "demands");
      break;
    }
    if (recv(p->fd, bytes, used, 0) != (ssize_t)used) break;
    if (progress == PROXY_DONE) {
      begin(p);
      return;
    }
  }
  close_preface(p);
}

static bool is_believed(const HttpPreface *p) {
  const HttpTrust *trust = &p->server->trust;
  return (!trust->n && !trust->unix_peers) || http_trust_has(trust, &p->peer);
}

void http_preface_open(HttpServer *server, int fd, HttpEntry entry) {
  HttpPreface *p = calloc(1, sizeof *p);
  socklen_t size = sizeof p->peer;
  if (!p || uv_poll_init_socket(&server->rt->loop, &p->poll, fd)) {
    free(p);
    close(fd);
    return;
  }
  p->poll.data = p;
  p->server = server;
  p->fd = fd;
  p->entry = entry;
  p->next = server->prefaces;
  p->link = &server->prefaces;
  if (p->next) p->next->link = &p->next;
  server->prefaces = p;
  server->n_connections++;
  if (getpeername(fd, &p->peer.any, &size)) p->peer = (ByteStreamPeer){0};
  uint64_t ms = server->limits.header_timeout;
  p->deadline = ms && ms != HTTP_NO_LIMIT ? uv_now(&server->rt->loop) + ms : 0;
  if (!is_believed(p)) {
    report(p, "a header of the PROXY protocol is taken from --trusted-proxies alone");
    close_preface(p);
  } else if (uv_poll_start(&p->poll, UV_READABLE, on_readable)) {
    close_preface(p);
  }
}

void http_preface_expire(HttpServer *server, uint64_t polled_at) {
  for (HttpPreface *p = server->prefaces; p; p = p->next)
    if (p->deadline && p->deadline <= polled_at) close_preface(p);
}

unsigned http_preface_make_room(HttpServer *server, unsigned most) {
  HttpPreface *oldest[HTTP_ROOM]; /* a ring, since the list has the newest first */
  unsigned n = 0, left = 0;
  if (most > HTTP_ROOM) most = HTTP_ROOM;
  for (HttpPreface *p = server->prefaces; p; p = p->next)
    if (p->fd >= 0) oldest[n++ % most] = p;
  for (; left < most && left < n; left++) close_preface(oldest[left]);
  return left;
}

void http_preface_close_all(HttpServer *server) {
  for (HttpPreface *p = server->prefaces; p; p = p->next) close_preface(p);
}
