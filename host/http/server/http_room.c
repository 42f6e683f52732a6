#include "http/server/http_room.h"

#include "core/observe.h"
#include "core/report.h"
#include "http/server/http2_stream.h"
#include "http/server/http_body.h"
#include "http/server/http_server.h"
#include "http/server/http_write.h"

/* A look at all connections makes room for several, so that a flood of new ones does not cost a
   look each. */
enum {
  SHARE = 256,
  JUDGED_MS = 1000, /* a write is judged after that time */
  LITTLE = 4096,    /* bytes that a client may hold without moving any */
  LOOKS = 8,        /* in the time in which as much as a client holds should move */
  NEARLY = 8        /* all but an eighth of max_buffered is kept */
};

unsigned http_room_share(const HttpServer *server) {
  size_t share = server->n_connections / SHARE + 1;
  return share < HTTP_ROOM ? (unsigned)share : HTTP_ROOM;
}

/* One that can go; those with the least `rank` first. */
typedef struct Found {
  HttpConnection *connection;
  uint64_t rank;
} Found;

/* Adds one to those found, of which there are `n`. Returns how many there are then. */
static unsigned add(Found *found, unsigned n, unsigned most, HttpConnection *c, uint64_t rank) {
  if (n == most && rank > found[n - 1].rank) return n;
  unsigned i = n < most ? n++ : n - 1;
  for (; i && found[i - 1].rank >= rank; i--) found[i] = found[i - 1];
  found[i] = (Found){c, rank};
  return n;
}

/* --- those that wait --- */

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
static unsigned find_waiting(const HttpServer *server, Found *found, unsigned most) {
  unsigned n = 0;
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (c->is_stream) continue;
    uint64_t since = c->phase == PHASE_CARRYING ? session_waits_since(c) : waits_since(c);
    if (since) n = add(found, n, most, c, since);
  }
  return n;
}

/* --- those whose clients take a response --- */

enum { IS_BUSY = -1, IS_NEW = -2 };

/* Bytes a second that the client takes; IS_BUSY: it is not all that is waited for; IS_NEW: that is
   not known yet. */
static int64_t pace_of(const HttpConnection *c, uint64_t now) {
  if (!c->write_deadline || !byte_stream_is_writing(&c->bytes)) return IS_BUSY;
  uint64_t time = now - c->write_pace.since;
  return time < JUDGED_MS ? IS_NEW : (int64_t)(http_write_taken(c) * 1000 / time);
}

/* The same of one with HTTP/2, which may be held up by the windows of its streams. */
static int64_t session_pace(const HttpConnection *c, uint64_t now) {
  int64_t sum = byte_stream_is_writing(&c->bytes) ? pace_of(c, now) : IS_BUSY;
  if (sum != IS_BUSY) return sum;
  for (const Http2Stream *st = c->http2->streams; st; st = st->next) {
    if (st == c->http2->reading) continue;
    int64_t pace = st->connection.http2 ? pace_of(&st->connection, now) : IS_BUSY;
    if (pace == IS_NEW) return IS_NEW;
    if (pace == IS_BUSY && !waits_since(&st->connection)) return IS_BUSY;
    if (pace >= 0) sum = (sum < 0 ? 0 : sum) + pace;
  }
  return sum;
}

/* Fills `found` with the slowest; returns how many. */
static unsigned find_slow(const HttpServer *server, Found *found, unsigned most, bool *any_new) {
  unsigned n = 0;
  uint64_t now = uv_now(&server->rt->loop);
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (c->is_stream || http_connection_is_closing(c)) continue;
    int64_t pace = c->phase == PHASE_CARRYING ? session_pace(c, now) : pace_of(c, now);
    if (pace == IS_NEW) *any_new = true;
    if (pace >= 0) n = add(found, n, most, c, (uint64_t)pace);
  }
  return n;
}

/* --- */

/* Who has the connections if nobody can go for others: "2 are WebSockets, 4 have ..." */
static void say_holders(const HttpServer *server, char *text, size_t size) {
  unsigned long long sockets = 0, others = 0;
  for (const HttpConnection *c = server->connections; c; c = c->next) {
    if (c->is_stream || http_connection_is_closing(c)) continue;
    if (c->phase == PHASE_UPGRADED)
      sockets++;
    else
      others++;
  }
  snprintf(text, size,
           "none waits for its client, %llu are WebSockets and %llu have handlers at work "
           "(moonloop ps shows them), and new ones wait until one has ended",
           sockets, others);
}

static void report(HttpServer *server, HttpRoomLack lack, HttpRoomKind kind, bool any) {
  ReportCount *full = &server->full[lack];
  char why[64] = "no descriptors are left (ulimit -n)";
  if (lack == HTTP_ROOM_CONNECTIONS)
    snprintf(why, sizeof why, "all %llu connections are taken (max_connections)",
             (unsigned long long)server->limits.max_connections);
  observe_limited(server->rt, lack == HTTP_ROOM_CONNECTIONS ? "max_connections" : "descriptors");
  if (!report_counts(full)) return;
  char holders[192];
  if (!any) say_holders(server, holders, sizeof holders);
  report_sayf(server->rt, LOG_WARN, "%s: %s; %llu times so far", why,
              !any ? holders
              : kind == HTTP_ROOM_SLOW
                  ? "those whose clients take responses most slowly are closed for new ones"
                  : "those whose clients have said nothing for longest are closed for new ones",
              full->n);
}

unsigned http_room_find(HttpServer *server, HttpRoomLack lack, HttpConnection *found[HTTP_ROOM],
                        HttpRoomKind *kind) {
  Found list[HTTP_ROOM];
  bool any_new = false;
  unsigned most = http_room_share(server), n = find_waiting(server, list, most);
  *kind = HTTP_ROOM_WAITING;
  if (!n && !server->prefaces) {
    n = find_slow(server, list, most, &any_new);
    *kind = n ? HTTP_ROOM_SLOW : any_new ? HTTP_ROOM_LATER : HTTP_ROOM_WAITING;
  }
  report(server, lack, *kind, n || server->prefaces);
  for (unsigned i = 0; i < n; i++) found[i] = list[i].connection;
  return n;
}

/* --- those that hold much --- */

/* Has as much moved of what it holds as should have in `time` milliseconds? If nothing is expected
   of its client now, it has. */
static bool moves(HttpConnection *c, uint64_t time) {
  bool owes = http_body_is_owed(c), takes = c->write_deadline != 0;
  uint64_t before = c->moved;
  c->moved = c->body_pace.moved + (takes ? http_write_taken(c) : 0);
  if (c->buffered <= LITTLE || (!owes && !takes) || c->moved < before) return true;
  return (c->moved - before) * c->server->limits.body_timeout >= c->buffered * time;
}

void http_room_cut(HttpServer *server, void (*cut)(HttpConnection *c)) {
  const HttpLimits *l = &server->limits;
  uint64_t now = uv_now(&server->rt->loop);
  if (server->buffered <= l->max_buffered - l->max_buffered / NEARLY ||
      l->body_timeout == HTTP_NO_LIMIT) {
    server->looked_at = 0;
    return;
  }
  uint64_t time = now - server->looked_at;
  bool judges = server->looked_at != 0;
  if (judges && time < l->body_timeout / LOOKS) return;
  server->looked_at = now;
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    if (!http_connection_is_closing(c) && !moves(c, time) && judges) cut(c);
  }
}
