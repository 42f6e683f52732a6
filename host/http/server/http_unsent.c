#include "http/server/http_unsent.h"

#include "core/runtime.h"
#include "http/server/http_server.h"
#include <netinet/tcp.h>

enum {
  SMALL = 128 * 1024,       /* bytes */
  LARGE = 16 * 1024 * 1024, /* more than a socket takes, so that only its own limits apply */
  LARGE_ONES = 16,          /* at most, per server */
  JUDGED = 512 * 1024,      /* bytes after which a client is classified as fast or not */
  FAST_MS = 100,            /* time in which a fast one takes them */
};

static void set(int fd, int bytes) {
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

void http_unsent_limit(int fd) { set(fd, SMALL); }

static void change(HttpUnsent *u, HttpServer *server, int fd, bool large) {
  if (u->is_large == large || (large && server->n_large_unsent == LARGE_ONES)) return;
  u->is_large = large;
  if (large)
    server->n_large_unsent++;
  else
    server->n_large_unsent--;
  set(fd, large ? LARGE : SMALL);
}

void http_unsent_taken(HttpUnsent *u, HttpServer *server, int fd, size_t n) {
  uint64_t now = uv_now(&server->rt->loop);
  if (!u->since) u->since = now;
  u->taken += n;
  if (u->taken < JUDGED) return;
  change(u, server, fd, now - u->since < FAST_MS);
  u->since = now;
  u->taken = 0;
}

void http_unsent_over(HttpUnsent *u, HttpServer *server, int fd) { change(u, server, fd, false); }
