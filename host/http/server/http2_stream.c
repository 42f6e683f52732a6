#include "http/server/http2_stream.h"

#include "core/report.h"
#include "http/server/http_buffered.h"
#include "http/server/http_server.h"
#include <stdlib.h>

enum { CHUNK_ROOM = 20 }; /* bytes around a chunk's data */

/* They come and go with every request: some wait for the next ones, unless a sanitizer is to see
   each of them. */
#ifdef __SANITIZE_ADDRESS__
static const size_t spare_streams = 0;
#else
static const size_t spare_streams = 1000;
#endif

static Http2Stream *allocate(HttpServer *server) {
  Buffer memory = {0};
  server->stream_pool.size = sizeof(Http2Stream);
  buffer_pool_take(&server->stream_pool, &memory);
  return memory.data ? memset(memory.data, 0, sizeof(Http2Stream)) : NULL;
}

static void deallocate(HttpServer *server, Http2Stream *st) {
  Buffer memory = {.data = (char *)st, .cap = sizeof *st};
  if (server->stream_pool.count < spare_streams)
    buffer_pool_give(&server->stream_pool, &memory);
  else
    free(st);
}

Http2Stream *http2_stream_new(Http2Session *session, int32_t id) {
  Http2Stream *st = allocate(session->connection->server);
  if (!st) return NULL;
  st->session = session;
  st->id = id;
  st->next = session->streams;
  st->link = &session->streams;
  if (st->next) st->next->link = &st->next;
  session->streams = st;
  session->n_streams++;
  session->connection->server->n_streams++;
  return st;
}

void http2_stream_free(Http2Stream *st) {
  Http2Session *session = st->session;
  if (st->has_news) {
    Http2Stream **link = &session->news;
    while (*link != st) link = &(*link)->next_news;
    *link = st->next_news;
  }
  buffer_pool_give(&session->connection->server->out_pool, &st->in);
  *st->link = st->next;
  if (st->next) st->next->link = st->link;
  session->n_streams--;
  session->connection->server->n_streams--;
  if (session->reading == st) session->reading = NULL;
  deallocate(session->connection->server, st);
  http2_session_due(session);
}

void http2_stream_note(Http2Stream *st) {
  if (st->has_news) return;
  st->has_news = true;
  st->next_news = st->session->news;
  st->session->news = st;
}

/* --- the request --- */

bool http2_stream_add(Http2Stream *st, const char *bytes, size_t n) {
  if (!n) return true;
  st->is_late |= st->is_shut;
  if (!buffer_reserve(&st->in, n + CHUNK_ROOM)) return false;
  if (st->is_chunked) buffer_printf(&st->in, "%zx\r\n", n);
  buffer_add(&st->in, bytes, n);
  if (st->is_chunked) buffer_add(&st->in, "\r\n", 2);
  st->unread += n;
  return true;
}

bool http2_stream_end(Http2Stream *st) {
  st->has_all = true;
  return !st->is_chunked || buffer_add(&st->in, "0\r\n\r\n", 5);
}

/* All of `in` was taken. */
static void emptied(Http2Stream *st) {
  Http2Session *session = st->session;
  st->in.len = st->in_at = 0;
  buffer_pool_give(&session->connection->server->out_pool, &st->in);
  if (st->unread && st->id && !st->has_all) {
    session->lib->nghttp2_session_consume_stream(session->ng, st->id, st->unread);
    http2_session_due(session);
  }
  st->unread = 0;
}

/* Gives the connection what it takes. */
static void deliver(Http2Stream *st) {
  HttpConnection *c = &st->connection;
  ByteStream *s = &c->bytes;
  while (st->in_at < st->in.len && !http_connection_is_closing(c) && !s->paused) {
    uv_buf_t room = s->user->room(s);
    char *bytes = st->in.data + st->in_at;
    size_t n = st->in.len - st->in_at;
    if (n > room.len) n = room.len;
    if (!n) {
      s->paused = true; /* until there is room: its user resumes then */
      break;
    }
    st->in_at += n;
    if (room.base != c->server->read_buffer) memcpy(room.base, bytes, n);
    s->user->came(s, room.base == c->server->read_buffer ? bytes : room.base, n);
  }
  if (st->in.data && (st->in_at == st->in.len || http_connection_is_closing(c))) emptied(st);
  c->kept = st->in.cap;
  http_buffered_note(c);
}

/* --- the response --- */

/* What there is of it: the parts of a send, or what is left of a write. */
static bool source_of(const Http2Stream *st, const char **p, const char **end) {
  const ByteStreamWrite *w = st->connection.bytes.write;
  if (st->n_parts) {
    *p = (const char *)st->parts->iov_base + st->part_at;
    *end = (const char *)st->parts->iov_base + st->parts->iov_len;
    return true;
  }
  if (st->parts || !w || w->at == w->data.len) return false;
  *p = w->data.data + w->at;
  *end = w->data.data + w->data.len;
  return true;
}

static void took(Http2Stream *st, size_t n) {
  if (!st->n_parts) {
    ByteStreamWrite *w = st->connection.bytes.write;
    w->at += n;
    if (w->at < w->data.len || st->is_written) return;
    st->is_written = true;
    http2_stream_note(st);
    http2_session_due(st->session);
    return;
  }
  st->taken += n;
  st->part_at += n;
  while (st->n_parts && st->part_at >= st->parts->iov_len) {
    st->part_at -= st->parts->iov_len;
    st->parts++;
    st->n_parts--;
  }
}

size_t http2_stream_read(Http2Stream *st, char *to, size_t n) {
  const char *p, *end;
  size_t filled = 0;
  while (filled < n && st->reply.state != HTTP2_REPLY_OVER && source_of(st, &p, &end)) {
    const char *from = p;
    filled += http2_reply_body(&st->reply, &p, end, to + filled, n - filled);
    took(st, (size_t)(p - from));
    if (p == from) break;
  }
  return filled;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *data) {
  (void)source;
  const Http2Session *session = data;
  Http2Stream *st = session->lib->nghttp2_session_get_stream_user_data(ng, id);
  if (!st) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t filled = http2_stream_read(st, (char *)to, n);
  if (st->reply.state == HTTP2_REPLY_OVER) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  } else if (!filled) {
    st->is_stuck = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  return (ssize_t)filled;
}

/* Sends the heads that have come: interim ones, and that of the response. False: they are wrong, or
   memory is out. */
static bool send_heads(Http2Stream *st) {
  Http2Session *session = st->session;
  Http2Fields f;
  const char *p, *end;
  while (st->reply.state == HTTP2_REPLY_HEAD && source_of(st, &p, &end)) {
    size_t n = http2_reply_head(&st->reply, p, (size_t)(end - p), &f);
    if (!n) {
      report_say(session->connection->server->rt, LOG_ERROR,
                 "a response has more header lines than HTTP/2 takes here: 256 lines, 8 kB of "
                 "names; its stream is reset");
      return false;
    }
    bool is_lent = false;
    int rc;
    if (f.status < 200) {
      rc = session->lib->nghttp2_submit_headers(session->ng, NGHTTP2_FLAG_NONE, st->id, NULL,
                                                f.list, f.n, NULL);
    } else {
      nghttp2_data_provider body = {.read_callback = read_body};
      bool has_body = st->reply.state != HTTP2_REPLY_OVER;
      is_lent = st->parts && http2_session_is_prompt(session);
      if (is_lent) http2_reply_lend(&f);
      rc = session->lib->nghttp2_submit_response(session->ng, st->id, f.list, f.n,
                                                 has_body ? &body : NULL);
    }
    took(st, n);
    if (is_lent && !rc) http2_session_pull(session); /* while the fields are there */
    if (rc) {
      st->reply.state = HTTP2_REPLY_HEAD;
      return false;
    }
  }
  return true;
}

/* There are bytes of the response. False: it cannot be sent. */
static bool offer(Http2Stream *st) {
  if (!st->id || st->session->is_broken || !send_heads(st)) return false;
  if (st->is_stuck) {
    st->is_stuck = false;
    st->session->lib->nghttp2_session_resume_data(st->session->ng, st->id);
  }
  http2_session_due(st->session);
  return true;
}

/* --- below a ByteStream --- */

static Http2Stream *stream_of(const ByteStream *s) {
  return container_of(s, Http2Stream, connection.bytes);
}

static void get_peer(const ByteStream *s, ByteStreamPeer *peer) {
  byte_stream_peer(&stream_of(s)->session->connection->bytes, peer);
}

static void resume(ByteStream *s) {
  Http2Stream *st = stream_of(s);
  if (st->in_at == st->in.len) return;
  http2_stream_note(st);
  http2_session_due(st->session);
}

static ssize_t send_parts(ByteStream *s, const struct iovec *parts, size_t n) {
  Http2Stream *st = stream_of(s);
  st->parts = parts;
  st->n_parts = n;
  st->taken = st->part_at = 0;
  took(st, 0); /* leaves out empty ones */
  bool ok = offer(st);
  if (ok && st->n_parts) http2_session_pull(st->session);
  st->parts = NULL;
  st->n_parts = 0;
  return ok ? (ssize_t)st->taken : UV_EPIPE;
}

static void begin_write(ByteStream *s) {
  Http2Stream *st = stream_of(s);
  if (offer(st)) return;
  st->was_reset = true; /* later, since its user may not be told here */
  http2_stream_note(st);
  http2_session_due(st->session);
}

static size_t count_unread(const ByteStream *s) {
  (void)s;
  return 0;
}

/* The client may still be sending, and stops when it has the response; or is told to, when more
   comes or after a while. */
static void shut(ByteStream *s) {
  Http2Stream *st = stream_of(s);
  st->is_shut = true;
  http2_stream_note(st);
  http2_session_due(st->session);
}

static bool has_gone(const ByteStream *s) { return stream_of(s)->was_reset; }

/* A response that is not complete must not look so; a request that nobody reads to its end is not
   sent on (section 8.1). */
static void reset_stream(Http2Stream *st) {
  const Http2Library *lib = st->session->lib;
  bool is_whole = st->reply.state == HTTP2_REPLY_OVER;
  lib->nghttp2_session_set_stream_user_data(st->session->ng, st->id, NULL);
  if (!is_whole || !st->has_all)
    lib->nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id,
                                   is_whole ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
  st->id = 0;
}

static void close_stream(ByteStream *s, bool reset) {
  (void)reset;
  Http2Stream *st = stream_of(s);
  s->fd = -1;
  if (s->write) byte_stream_write_drop(s);
  if (st->id) reset_stream(st);
  st->next_closed = st->session->closed;
  st->session->closed = st;
  http2_session_due(st->session);
}

static const ByteStreamBelow below = {.peer = get_peer,
                                      .resume = resume,
                                      .send = send_parts,
                                      .write = begin_write,
                                      .unread = count_unread,
                                      .shut = shut,
                                      .has_gone = has_gone,
                                      .close = close_stream};

/* --- */

void http2_stream_news(Http2Stream *st) {
  HttpConnection *c = &st->connection;
  ByteStream *s = &c->bytes;
  st->has_news = false;
  if (!c->http2) {
    if (st->was_reset || !st->id) {
      http2_stream_free(st); /* before its handler began */
      return;
    }
    if (!st->has_request) return;
    if (!http_connection_open_stream(c, st->session->connection, &below)) {
      st->is_aborted = true;
      st->session->lib->nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id,
                                                  NGHTTP2_INTERNAL_ERROR);
      return;
    }
  }
  if (http_connection_is_closing(c)) {
    deliver(st);
    return;
  }
  if (st->was_reset) {
    s->user->ended(s, UV_ECONNRESET);
    return;
  }
  deliver(st);
  if (st->is_written && s->write && !http_connection_is_closing(c)) {
    st->is_written = false;
    byte_stream_write_over(s, 0);
  }
  if (st->is_shut && (st->has_all || st->is_late) && !http_connection_is_closing(c))
    s->user->ended(s, UV_EOF);
}

bool http2_stream_has_all(const HttpConnection *c) {
  return container_of(c, Http2Stream, connection)->has_all;
}

void http2_stream_release(HttpConnection *c) {
  http2_stream_free(container_of(c, Http2Stream, connection));
}
