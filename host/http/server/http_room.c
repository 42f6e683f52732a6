#include "http/server/http_room.h"

#include "core/observe.h"
#include "core/report.h"
#include "http/server/http2_stream.h"
#include "http/server/http_body.h"
#include "http/server/http_server.h"

/* A look at all connections makes room for several, so that a flood of new ones does not cost a
   look each. */
enum { SHARE = 256, ROOM = 64 };

/* One that waits for its client. */
typedef struct Waiting {
  HttpConnection *connection;
  uint64_t since; /* loop milliseconds */
} Waiting;

/* Since when it waits for its client and nothing else; 0: it does not. */
static uint64_t waits_since(const HttpConnection *c) {
  bool reads_body = c->phase == PHASE_HANDLING && c->deadline && http_body_is_owed(c);
  bool waits = reads_body || c->phase == PHASE_IDLE || c->phase == PHASE_IN_HEAD ||
               c->phase == PHASE_DRAINING || c->phase == PHASE_LINGERING;
  return waits && !byte_stream_is_writing(&c->bytes) ? c->waits_since : 0;
}

/* The same of one with HTTP/2: all its streams wait, too. */
static uint64_t session_waits_since(const HttpConnection *c) {
  const Http2Session *s = c->http2;
  uint64_t since = c->waits_since;
  if (byte_stream_is_writing(&c->bytes)) return 0;
  for (const Http2Stream *st = s->streams; st; st = st->next) {
    if (st == s->reading) continue; /* its head is coming */
    uint64_t stream = st->connection.http2 ? waits_since(&st->connection) : 0;
    if (!stream) return 0;
    if (stream > since) since = stream;
  }
  return since;
}

/* Fills `found` with those that wait for longest; returns how many. The list has the newest first.
 */
static unsigned find(const HttpServer *server, Waiting *found, unsigned most) {
  unsigned n = 0;
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (c->is_stream) continue;
    uint64_t since = c->phase == PHASE_CARRYING ? session_waits_since(c) : waits_since(c);
    if (!since || (n == most && since > found[n - 1].since)) continue;
    unsigned i = n < most ? n++ : n - 1;
    for (; i && found[i - 1].since >= since; i--) found[i] = found[i - 1];
    found[i] = (Waiting){c, since};
  }
  return n;
}

static void leave(HttpConnection *c) {
  if (c->phase == PHASE_CARRYING)
    c->server->http2_calls->leave(c->http2);
  else if (c->phase == PHASE_IDLE)
    http_connection_retire(c);
  else
    http_connection_abort(c);
}

static void report(HttpServer *server, unsigned n) {
  observe_limited(server->rt, "max_connections");
  if (++server->n_full > 1 && server->n_full < 2 * server->told_of_full) return;
  server->told_of_full = server->n_full;
  report_sayf(server->rt, LOG_WARN,
              "all %llu connections are taken (max_connections): %s; %llu times so far",
              (unsigned long long)server->limits.max_connections,
              n ? "those whose clients have said nothing for longest are closed for new ones"
                : "none waits for its client, and new ones wait until a request has ended",
              (unsigned long long)server->n_full);
}

void http_room_make(HttpServer *server) {
  Waiting found[ROOM];
  uint64_t most = server->limits.max_connections / SHARE + 1;
  unsigned n = find(server, found, most < ROOM ? (unsigned)most : ROOM);
  report(server, n);
  for (unsigned i = 0; i < n; i++) leave(found[i].connection);
}
