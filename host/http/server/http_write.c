#include "http/server/http_write.h"

#include "http/server/http_buffered.h"
#include "http/server/http_server.h"

static void renew_write_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  c->write_deadline = http_pace_deadline(&c->write_pace, http_server_now(c->server),
                                         l->write_timeout, l->write_rate);
}

void http_write_rest(HttpConnection *c, size_t sent) {
  c->queued = c->out.cap;
  http_buffered_note(c);
  if (byte_stream_write(&c->bytes, &c->out, sent)) {
    http_connection_abort(c);
    return;
  }
  c->write_pace = (HttpPace){0};
  c->unsent = byte_stream_unsent(&c->bytes);
  renew_write_deadline(c);
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
  http_connection_abort(c);
  return true;
}
