#include "http/server/http_upgrade.h"

#include "core/runtime.h"
#include "http/server/http_buffered.h"
#include "http/server/http_handler.h"
#include "http/server/http_observed.h"
#include "http/server/http_server.h"

/* --- bytes --- */

static HttpUpgrade *upgrade_of(ByteStream *s) {
  return container_of(s, HttpConnection, bytes)->upgrade;
}

static uv_buf_t on_room(ByteStream *s) {
  HttpUpgrade *u = upgrade_of(s);
  return u->user->room(u);
}

static void on_came(ByteStream *s, const char *bytes, size_t n) {
  HttpUpgrade *u = upgrade_of(s);
  u->user->came(u, (char *)(uintptr_t)bytes, n); /* they are in the user's own room */
}

static void on_ended(ByteStream *s, int status) {
  HttpUpgrade *u = upgrade_of(s);
  u->user->ended(u, status);
}

static void on_written(ByteStream *s, int status) {
  HttpUpgrade *u = upgrade_of(s);
  u->connection->write_deadline = 0; /* http_write_watch sees the next one */
  u->user->written(u, status);
}

static const ByteStreamUser user = {.room = on_room,
                                    .came = on_came,
                                    .ended = on_ended,
                                    .written = on_written,
                                    .closed = http_connection_closed};

/* --- the beginning --- */

/* Hands over what the client has sent after its request, while reading goes on unless the protocol
   pauses it. */
static void hand_over(HttpConnection *c) {
  HttpRequest *r = &c->request;
  HttpUpgrade *u = c->upgrade;
  bool was_paused = c->bytes.paused;
  size_t n = http_request_pending(r);
  c->bytes.paused = false;
  if (n) u->user->came(u, r->in.data + r->start + r->parsed, n);
  if (!was_paused || c->bytes.paused || u->is_over) return;
  c->bytes.paused = true;
  byte_stream_resume(&c->bytes);
}

/* The buffers of HTTP are not needed any more; but for the name of the client, which is in the
   head. */
static void give_back(HttpConnection *c) {
  HttpRequest *r = &c->request;
  if (!c->forwarded || !c->forwarded->name.len) http_request_give(r, &r->in);
  if (r->body.cap) http_request_give(r, &r->body);
  http_server_give_out(c->server, &c->out);
  if (c->buffered) http_buffered_note(c);
}

static void begin(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  if (c->observed) http_observed_end(c);
  c->held = 0; /* the request is answered */
  c->phase = PHASE_UPGRADED;
  c->deadline = c->write_deadline = 0;
  c->bytes.user = &user;
  u->user->begun(u);
  if (!u->is_over) hand_over(c);
  give_back(c);
  if (!u->is_over && c->bytes.ended) u->user->ended(u, UV_EOF);
  if (!u->is_over && c->server->stopping) u->user->retire(u, !c->server->closes_idle);
}

/* --- the end --- */

static void look_again(Timer *timer) {
  HttpUpgrade *u = container_of(timer, HttpUpgrade, look);
  if (u->has_time) u->time_is_over = true;
  http_server_due(u->connection->server, u->connection);
}

/* Without memory for the timer, the handler runs to its end. */
static void look_in(HttpUpgrade *u, double seconds) {
  Runtime *rt = u->connection->server->rt;
  timer_set(&rt->timers, &u->look, timer_due(runtime_now(rt), seconds), look_again);
}

/* The protocol has ended, and the handler has not: cancels it if it waits for something that does
   not tell it of that. */
static void see_to_handler(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  HttpUpgradeFate fate = u->user->fate(u);
  if (fate == UPGRADE_HANDLER_STAYS) return;
  uint64_t drain = c->server->limits.drain;
  if (fate == UPGRADE_HANDLER_HAS_TIME && !u->time_is_over) {
    if (!u->has_time && drain != HTTP_NO_LIMIT) look_in(u, 1e-3 * (double)drain);
    u->has_time = true;
    return;
  }
  if (c->task->ready || c->task->status != TASK_SUSPENDED)
    look_in(u, 0); /* it will learn of the end by itself, or wait for something else */
  else
    http_handler_cancel(c);
}

static void on_pass(HttpConnection *c) {
  const HttpUpgrade *u = c->upgrade;
  if (c->phase == PHASE_ANSWERED && !c->out.len && !byte_stream_is_writing(&c->bytes)) begin(c);
  if (u->is_over && c->task && c->phase >= PHASE_UPGRADED) see_to_handler(c);
}

void http_upgrade_look(HttpUpgrade *u) {
  if (u->connection && u->is_over) http_server_due(u->connection->server, u->connection);
}

void http_upgrade_end(HttpUpgrade *u, bool reset) {
  HttpConnection *c = u->connection;
  u->is_over = true;
  http_connection_close(c, reset);
  if (c->task) http_server_due(c->server, c);
}

static void on_handled(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  timer_clear(&c->server->rt->timers, &u->look);
  if (!u->is_over) u->user->handled(u, u->has_failed);
}

static void on_retire(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  if (!u->is_over) u->user->retire(u, !c->server->closes_idle);
}

static void on_cut(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  if (u->is_over) return;
  u->is_over = true;
  u->user->cut(u);
  if (c->task) http_server_due(c->server, c);
}

static void on_leave(HttpConnection *c) {
  HttpUpgrade *u = c->upgrade;
  timer_clear(&c->server->rt->timers, &u->look);
  c->upgrade = NULL;
  u->connection = NULL;
  u->user->left(u);
}

static const HttpUpgradeCalls calls = {
    .pass = on_pass, .handled = on_handled, .retire = on_retire, .cut = on_cut, .leave = on_leave};

void http_upgrade_expect(HttpUpgrade *u, HttpConnection *c) {
  u->calls = &calls;
  u->connection = c;
  c->upgrade = u;
  http_server_due(c->server, c);
}
