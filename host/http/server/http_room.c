#include "http/server/http_room.h"

#include "core/observe.h"
#include "core/report.h"
#include "http/server/http_connection.h"
#include "http/server/http_server.h"

/* A look at all connections makes room for several, so that a flood of new ones does not cost a
   look each. */
enum { SHARE = 256 };

/* Waits for the next request, and has nothing to receive any more. */
static bool is_idle(const HttpConnection *c) {
  return !c->is_stream && !c->task && c->deadline &&
         (c->phase == PHASE_IDLE || c->phase == PHASE_CARRYING) &&
         !byte_stream_is_writing(&c->bytes);
}

/* Fills `found` with those whose time ends first; returns how many. The list has the newest first.
 */
static unsigned find(const HttpServer *server, HttpConnection **found, unsigned most) {
  unsigned n = 0;
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (!is_idle(c) || (n == most && c->deadline > found[n - 1]->deadline)) continue;
    unsigned i = n < most ? n++ : n - 1;
    for (; i && found[i - 1]->deadline >= c->deadline; i--) found[i] = found[i - 1];
    found[i] = c;
  }
  return n;
}

static void report(HttpServer *server, unsigned n) {
  observe_limited(server->rt, "max_connections");
  if (++server->n_full > 1 && server->n_full < 2 * server->told_of_full) return;
  server->told_of_full = server->n_full;
  report_sayf(server->rt, LOG_WARN,
              "all %llu connections are taken (max_connections): %s; %llu times so far",
              (unsigned long long)server->limits.max_connections,
              n ? "those that were idle for longest are closed for new clients"
                : "none is idle, and new clients wait until a request has ended",
              (unsigned long long)server->n_full);
}

unsigned http_room_find(HttpServer *server, HttpConnection *found[HTTP_ROOM]) {
  uint64_t most = server->limits.max_connections / SHARE + 1;
  unsigned n = find(server, found, most < HTTP_ROOM ? (unsigned)most : HTTP_ROOM);
  report(server, n);
  return n;
}
