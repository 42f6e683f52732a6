#include "http/server/http_write.h"

#include "core/observe.h"
#include "http/server/http_buffered.h"
#include "http/server/http_lent.h"
#include "http/server/http_server.h"

static void renew_write_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  c->write_deadline = http_pace_deadline(&c->write_pace, http_server_now(c->server),
                                         l->write_timeout, l->write_rate);
}

/* --- responses that too many clients do not take --- */

enum { CUT = 64 }; /* at most, at once */

/* Adds `c` to those whose writes began first. */
static unsigned note_slow(HttpConnection **slow, unsigned n, HttpConnection *c) {
  uint64_t since = c->write_pace.since;
  if (n == CUT && since >= slow[n - 1]->write_pace.since) return n;
  unsigned i = n < CUT ? n++ : n - 1;
  for (; i && slow[i - 1]->write_pace.since > since; i--) slow[i] = slow[i - 1];
  slow[i] = c;
  return n;
}

/* The server keeps too much. Responses may have half of max_buffered, so that bodies alone cut none
   off: beyond that, the clients that have been taking one for longest lose it, but for `c`. */
static void cut_slow(HttpConnection *c) {
  HttpServer *server = c->server;
  HttpConnection *slow[CUT];
  unsigned n = 0;
  if (!http_buffered_is_crowded(server)) return;
  for (HttpConnection *other = server->connections; other; other = other->next)
    if (other->queued && other->write_deadline && other != c) n = note_slow(slow, n, other);
  for (unsigned i = 0; i < n && http_buffered_is_crowded(server); i++) {
    observe_limited(server->rt, "max_buffered");
    http_connection_abort(slow[i]);
  }
}

/* --- writes --- */

/* A write has begun: its client has a limited time. */
static void begin_pace(HttpConnection *c) {
  c->write_pace = (HttpPace){0};
  c->unsent = byte_stream_unsent(&c->bytes);
  renew_write_deadline(c);
}

/* A write of `queued` bytes has begun, or failed to. */
static void begun(HttpConnection *c, size_t queued, int status) {
  http_buffered_queue(c, queued);
  if (status) {
    http_connection_abort(c);
    return;
  }
  begin_pace(c);
  if (http_buffered_is_full(c->server)) cut_slow(c);
}

void http_write_rest(HttpConnection *c, size_t sent) {
  size_t queued = c->out.cap;
  begun(c, queued, byte_stream_write(&c->bytes, &c->out, sent));
}

/* After `sent` bytes of a body that is lent. */
static void write_lent_rest(HttpConnection *c, HttpLent *lent, size_t sent) {
  size_t n = lent->n;
  begun(c, n - sent, byte_stream_write_lent(&c->bytes, lent->bytes, n, sent, &lent->loan));
}

/* Not even the head was taken: all of it waits as one. */
static void copy_rest(HttpConnection *c, HttpLent *lent, size_t sent) {
  bool ok = buffer_add(&c->out, lent->bytes, lent->n);
  http_lent_drop(lent);
  if (ok)
    http_write_rest(c, sent);
  else
    http_connection_abort(c);
}

void http_write_lent(HttpConnection *c) {
  HttpLent *lent = c->lent;
  const struct iovec parts[] = {{c->out.data, c->out.len},
                                {(char *)(uintptr_t)lent->bytes, lent->n}}; /* only read from */
  ssize_t taken = byte_stream_send_parts(&c->bytes, parts, 2);
  size_t sent = taken > 0 ? (size_t)taken : 0;
  c->lent = NULL;
  if (taken < 0) {
    http_lent_drop(lent);
    http_connection_abort(c);
  } else if (sent < c->out.len) {
    copy_rest(c, lent, sent);
  } else {
    sent -= c->out.len;
    if (c->queued) http_buffered_queue(c, 0);
    http_server_give_out(c->server, &c->out);
    if (sent == lent->n)
      http_lent_drop(lent);
    else
      write_lent_rest(c, lent, sent);
  }
}

void http_write_watch(HttpConnection *c) {
  if (!byte_stream_is_writing(&c->bytes))
    c->write_deadline = 0;
  else if (!c->write_deadline)
    begin_pace(c);
}

bool http_write_expire(HttpConnection *c) {
  size_t unsent = byte_stream_unsent(&c->bytes);
  size_t moved = unsent < c->unsent ? c->unsent - unsent : 0;
  c->unsent = unsent;
  c->write_pace.moved += moved;
  if (moved) {
    renew_write_deadline(c);
    if (c->write_deadline > http_server_now(c->server))
      return false; /* slow, but it makes progress */
  }
  observe_limited(c->server->rt, "write_timeout");
  http_connection_abort(c);
  return true;
}
