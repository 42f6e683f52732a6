#include "http/server/http_write.h"

#include "http/server/http_buffered.h"
#include "http/server/http_lent.h"
#include "http/server/http_server.h"

static void renew_write_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  c->write_deadline = http_pace_deadline(&c->write_pace, http_server_now(c->server),
                                         l->write_timeout, l->write_rate);
}

/* A write of `queued` bytes has begun, or failed to. */
static void begun(HttpConnection *c, size_t queued, int status) {
  c->queued = queued;
  http_buffered_note(c);
  if (status) {
    http_connection_abort(c);
    return;
  }
  c->write_pace = (HttpPace){0};
  c->unsent = byte_stream_unsent(&c->bytes);
  renew_write_deadline(c);
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
    http_server_give_out(c->server, &c->out);
    if (sent == lent->n)
      http_lent_drop(lent);
    else
      write_lent_rest(c, lent, sent);
  }
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
