#include "net/tls_stream.h"

#include <errno.h>
#include <stdlib.h>

enum {
  PIECE = 128 * 1024,   /* plaintext encrypted before it is sent */
  AT_ONCE = 512 * 1024, /* of a write in a pass: others are served meanwhile */
  KEPT_MAX = 32 * 1024, /* ciphertext read ahead while a handshake waits in the line */
};

static bool is_closing(const TlsStream *t) {
  return uv_is_closing((const uv_handle_t *)&t->bytes->tcp);
}

/* --- sending ciphertext --- */

static void pump(TlsStream *t);
static int fly(TlsStream *t);

/* The socket takes nothing more: reading reports why. */
static void drop_output(TlsStream *t, int status) {
  t->session.failed = true;
  t->broken = status;
  buffer_free(&t->flight);
  buffer_free(&t->rest);
}

static void on_flown(uv_write_t *request, int status) {
  TlsStream *t = container_of(request, TlsStream, request);
  buffer_free(&t->flight);
  if (is_closing(t)) return;
  if (status) {
    drop_output(t, status);
    if (t->bytes->write) byte_stream_write_over(t->bytes, status);
    return;
  }
  if (t->rest.len) {
    t->flight = t->rest;
    t->rest = (Buffer){0};
    int rc = fly(t);
    if (rc && t->bytes->write) byte_stream_write_over(t->bytes, rc);
    return;
  }
  if (t->shuts)
    shutdown(t->bytes->fd, SHUT_WR);
  else
    pump(t);
}

static int fly(TlsStream *t) {
  uv_buf_t buffer = uv_buf_init(t->flight.data, (unsigned)t->flight.len);
  int rc = uv_write(&t->request, (uv_stream_t *)&t->bytes->tcp, &buffer, 1, on_flown);
  if (rc) drop_output(t, rc);
  return rc;
}

/* Sends what the session has put out. Returns 0, also if the socket has not taken all of it; or a
   libuv error. */
static int flush(TlsStream *t) {
  Buffer *out = &t->line->out;
  size_t n = out->len, sent = 0;
  out->len = 0;
  if (!n) return 0;
  if (!t->flight.len) {
    ssize_t taken = send(t->bytes->fd, out->data, n, MSG_NOSIGNAL);
    /* Reading may find an end after that, as if the peer had ended it. */
    if (taken < 0 && errno != EAGAIN && errno != EINTR) return t->broken = -errno;
    sent = taken > 0 ? (size_t)taken : 0;
    if (sent == n) return 0;
  }
  Buffer *to = t->flight.len ? &t->rest : &t->flight;
  bool begins = to == &t->flight;
  if (!buffer_add(to, out->data + sent, n - sent)) {
    t->session.failed = true; /* a record is missing */
    return t->broken = UV_ENOMEM;
  }
  return begins ? fly(t) : 0;
}

/* Where in the parts of a write we are. */
typedef struct Cursor {
  const struct iovec *part, *end;
  size_t at; /* in *part */
} Cursor;

/* Goes on by `n` bytes. Returns how many of them are beyond the end. */
static size_t skip(Cursor *c, size_t n) {
  for (; c->part < c->end && n >= c->part->iov_len - c->at; c->part++, c->at = 0)
    n -= c->part->iov_len - c->at;
  if (c->part == c->end) return n;
  c->at += n;
  return 0;
}

/* Takes up to `most` bytes, which are whole records unless they are the last. Small parts share a
   record, in `text`; long ones are not copied. */
static size_t take(Cursor *c, size_t most, char *text, const char **bytes) {
  size_t left = c->part->iov_len - c->at, n = left < most ? left : most;
  bool is_last = c->part + 1 == c->end;
  if (is_last || left >= TLS_LINE_TEXT) {
    *bytes = (const char *)c->part->iov_base + c->at;
    if (!is_last) n -= n % TLS_LINE_TEXT;
    skip(c, n);
    return n;
  }
  *bytes = text;
  size_t filled = 0;
  while (c->part < c->end && filled < TLS_LINE_TEXT) {
    size_t room = TLS_LINE_TEXT - filled;
    left = c->part->iov_len - c->at;
    n = left < room ? left : room;
    if (n) memcpy(text + filled, (const char *)c->part->iov_base + c->at, n);
    filled += n;
    skip(c, n);
  }
  return filled;
}

/* Encrypts up to PIECE bytes and sends them. Returns their number or an error. */
static ssize_t send_piece(TlsStream *t, Cursor *c) {
  size_t n = 0;
  int rc = 0;
  t->session.out = &t->line->out;
  while (!rc && n < PIECE && c->part < c->end) {
    const char *bytes;
    size_t part = take(c, PIECE - n, t->line->text, &bytes);
    rc = tls_session_write(&t->session, bytes, part);
    n += part;
  }
  int sent = flush(t);
  if (!rc) rc = sent;
  return rc ? rc : (ssize_t)n;
}

/* Encrypts as long as the socket takes it, up to a limit. Returns how much of the bytes the socket
   has; more may be encrypted, which `ahead` says then. */
ssize_t tls_stream_send(TlsStream *t, const struct iovec *parts, size_t n) {
  if (t->session.failed) return UV_EPIPE;
  if (!t->session.ready || t->flight.len) return 0;
  while (n && !parts[n - 1].iov_len) n--;
  Cursor c = {parts, parts + n, 0};
  size_t done = t->ahead;
  t->ahead = skip(&c, done);
  done -= t->ahead;
  while (c.part < c.end && done < AT_ONCE) {
    ssize_t piece = send_piece(t, &c);
    if (piece < 0) return piece;
    if (t->flight.len) {
      t->ahead = (size_t)piece;
      break;
    }
    done += (size_t)piece;
  }
  return (ssize_t)done;
}

/* Continues the write that waits. */
static void pump(TlsStream *t) {
  ByteStreamWrite *w = t->bytes->write;
  if (!w || t->flight.len || !t->session.ready) return;
  /* What `ahead` counts is on its way: the socket has it, since `flight` is empty. */
  struct iovec rest = {w->data.data + w->at, w->data.len - w->at};
  ssize_t sent = tls_stream_send(t, &rest, 1);
  if (sent > 0) w->at += (size_t)sent;
  if (sent < 0 || (w->at == w->data.len && !t->flight.len))
    byte_stream_write_over(t->bytes, sent < 0 ? (int)sent : 0);
  else if (!t->flight.len)
    tls_line_join(t->line, &t->turn, false);
}

/* A write has begun: it goes on when the socket takes more. */
void tls_stream_write(TlsStream *t) {
  if (!t->flight.len) tls_line_join(t->line, &t->turn, true);
}

/* --- ciphertext that comes --- */

static void stop_reading(TlsStream *t) { uv_read_stop((uv_stream_t *)&t->bytes->tcp); }

static void end(TlsStream *t, int status) {
  /* The session has failed only because of the socket. */
  if (status == UV_EPROTO && t->broken && !t->session.error)
    status = t->transport && t->transport != UV_EOF ? t->transport : t->broken;
  t->bytes->ended = true;
  t->transport = 0;
  stop_reading(t);
  t->bytes->user->ended(t->bytes, status);
}

/* How the socket's end is to be told. */
static int transport_end(TlsStream *t) {
  if (t->transport != UV_EOF) return t->transport;
  return t->broken && !t->session.ended ? t->broken : tls_session_transport_ended(&t->session);
}

/* After a call of the session: sends what it has put out, such as an alert. */
static void answer(TlsStream *t, int status) {
  int rc = flush(t);
  if (status < 0)
    end(t, status);
  else if (rc)
    end(t, rc);
}

/* Reads plaintext into the room of the user until nothing is there. */
static void deliver(TlsStream *t) {
  ByteStream *s = t->bytes;
  while (!s->ended && !is_closing(t)) {
    if (t->session.failed) {
      end(t, UV_EPROTO);
      return;
    }
    if (!tls_session_has_input(&t->session)) {
      if (t->transport) end(t, transport_end(t));
      return;
    }
    uv_buf_t room = s->paused ? uv_buf_init(NULL, 0) : s->user->room(s);
    if (!room.len) {
      s->paused = true; /* until there is room: its user resumes then */
      stop_reading(t);
      return;
    }
    t->session.out = &t->line->out;
    ssize_t n = tls_session_read(&t->session, room.base, room.len), filled = n;
    while (n > 0 && (size_t)filled < room.len && tls_session_has_input(&t->session)) {
      n = tls_session_read(&t->session, room.base + filled, room.len - (size_t)filled);
      if (n > 0) filled += n;
    }
    if (t->line->out.len) flush(t);
    if (filled > 0) s->user->came(s, room.base, (size_t)filled);
    if (n < 0 && !s->ended && !is_closing(t)) end(t, (int)n);
  }
}

/* A server's session is made in its turn, since that takes time, too. */
static bool is_open(TlsStream *t) {
  if (t->session.ssl || tls_session_open(&t->session, t->bytes->tls_context, NULL)) return true;
  end(t, UV_ENOMEM);
  return false;
}

static void go_on(TlsStream *t) {
  if (!t->session.ready) {
    if (!is_open(t)) return;
    t->session.out = &t->line->out;
    int status = tls_session_handshake(&t->session);
    answer(t, status);
    if (is_closing(t) || t->bytes->ended) return;
    if (status == 1) {
      if (t->bytes->user->secured) t->bytes->user->secured(t->bytes);
      if (!is_closing(t)) pump(t);
    } else if (t->transport) {
      end(t, transport_end(t));
      return;
    }
  }
  if (t->session.ready && !is_closing(t)) deliver(t);
}

/* Its turn in the line. */
static void run(TlsTurn *turn) {
  TlsStream *t = container_of(turn, TlsStream, turn);
  if (is_closing(t)) return;
  if (t->session.ready) pump(t);
  if (is_closing(t) || t->bytes->ended) return;
  go_on(t);
  if (is_closing(t)) return;
  tls_session_keep(&t->session);
  if (t->held && !t->bytes->ended && !is_closing(t)) {
    t->held = false;
    if (!t->bytes->paused) byte_stream_read_start(t->bytes);
  }
}

void tls_stream_came(TlsStream *t, const char *bytes, size_t n) {
  if (t->bytes->ended) return;
  tls_session_lend(&t->session, bytes, n);
  if (t->session.ready && !t->turn.waits)
    deliver(t);
  else
    tls_line_join(t->line, &t->turn, false);
  if (is_closing(t) || t->bytes->ended) {
    t->session.n_in = 0; /* the lent bytes go */
    return;
  }
  tls_session_keep(&t->session);
  if (t->session.kept.len > KEPT_MAX && !t->bytes->paused) {
    t->held = true;
    stop_reading(t);
  }
}

void tls_stream_ended(TlsStream *t, int status) {
  if (t->bytes->ended) return;
  if (!t->session.ssl && !t->turn.waits) { /* it has said nothing */
    end(t, status == UV_EOF ? tls_session_transport_ended(&t->session) : status);
    return;
  }
  t->transport = status;
  stop_reading(t);
  /* What came before is read first. */
  if (t->turn.waits || (t->bytes->paused && tls_session_has_input(&t->session))) return;
  tls_line_join(t->line, &t->turn, true);
}

void tls_stream_resume(TlsStream *t) {
  if (t->bytes->ended) return;
  if (tls_session_has_input(&t->session) || t->transport) tls_line_join(t->line, &t->turn, true);
  if (!t->held && !t->transport) byte_stream_read_start(t->bytes);
}

/* --- ends --- */

int tls_stream_shut(TlsStream *t) {
  t->session.out = &t->line->out;
  tls_session_shut(&t->session);
  int rc = flush(t);
  if (rc) return rc;
  t->shuts = t->flight.len > 0;
  if (t->shuts) return 0;
  return shutdown(t->bytes->fd, SHUT_WR) ? -errno : 0;
}

void tls_stream_close(TlsStream *t) {
  tls_line_leave(t->line, &t->turn);
  if (t->bytes->write || t->flight.len || t->ahead) return;
  t->session.out = &t->line->out;
  tls_session_shut(&t->session);
  flush(t);
}

TlsStream *tls_stream_new(ByteStream *bytes, TlsContext *context, const char *name) {
  TlsStream *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  *t = (TlsStream){.bytes = bytes, .turn.run = run};
  t->line = tls_line_of(container_of(bytes->tcp.loop, Runtime, loop));
  if (t->line && (context->is_server || tls_session_open(&t->session, context, name))) return t;
  if (t->line) tls_line_release(t->line);
  free(t);
  return NULL;
}

void tls_stream_free(TlsStream *t) {
  tls_line_leave(t->line, &t->turn);
  tls_session_close(&t->session);
  tls_line_release(t->line);
  buffer_free(&t->flight);
  buffer_free(&t->rest);
  free(t);
}

void tls_stream_greet(TlsStream *t) { tls_line_join(t->line, &t->turn, true); }
