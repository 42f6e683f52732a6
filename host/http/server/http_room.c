#include "http/server/http_room.h"

#include "core/observe.h"
#include "core/report.h"
#include "http/server/http2_stream.h"
#include "http/server/http_body.h"
#include "http/server/http_server.h"

/* A look at all connections makes room for several, so that a flood of new ones does not cost a
   look each. */
enum { SHARE = 256 };

unsigned http_room_share(const HttpServer *server) {
  size_t share = server->n_connections / SHARE + 1;
  return share < HTTP_ROOM ? (unsigned)share : HTTP_ROOM;
}

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

static void report(HttpServer *server, HttpRoomLack lack, bool any) {
  HttpFull *full = &server->full[lack];
  char why[64] = "no descriptors are left (ulimit -n)";
  if (lack == HTTP_ROOM_CONNECTIONS)
    snprintf(why, sizeof why, "all %llu connections are taken (max_connections)",
             (unsigned long long)server->limits.max_connections);
  observe_limited(server->rt, lack == HTTP_ROOM_CONNECTIONS ? "max_connections" : "descriptors");
  if (++full->count > 1 && full->count < 2 * full->told) return;
  full->told = full->count;
  report_sayf(server->rt, LOG_WARN, "%s: %s; %llu times so far", why,
              any ? "those whose clients have said nothing for longest are closed for new ones"
                  : "none waits for its client, and new ones wait until a request has ended",
              (unsigned long long)full->count);
}

unsigned http_room_find(HttpServer *server, HttpRoomLack lack, HttpConnection *found[HTTP_ROOM]) {
  Waiting waiting[HTTP_ROOM];
  unsigned most = http_room_share(server), n = find(server, waiting, most);
  report(server, lack, n || server->prefaces);
  for (unsigned i = 0; i < n; i++) found[i] = waiting[i].connection;
  return n;
}
