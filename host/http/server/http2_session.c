#include "http/server/http2_session.h"

#include "core/observe.h"
#include "http/server/http2_stream.h"
#include "http/server/http_buffered.h"
#include "http/server/http_server.h"
#include "http/server/http_write.h"
#include <stdlib.h>

enum {
  MAX_OUT = 64 * 1024, /* bytes of frames collected before they are written */
  ROUNDS = 8,          /* of that, in a pass */
  MAX_ANSWERS = 100,   /* frames that wait because the client does not read: nor do we then */
  GOODBYE_TIMEOUT = 5 * 1000, /* milliseconds for the round trip of a goodbye */
  LITTLE = 4096               /* bytes of a head that do not count as kept */
};

/* --- the connection that carries it --- */

static Http2Session *session_of(ByteStream *s) {
  return container_of(s, HttpConnection, bytes)->http2;
}

static uv_buf_t on_room(ByteStream *s) {
  const HttpServer *server = session_of(s)->connection->server;
  return uv_buf_init(server->read_buffer, HTTP_READ_BUFFER);
}

static void on_came(ByteStream *s, const char *bytes, size_t n) {
  http2_session_came(session_of(s), bytes, n);
}

static void on_ended(ByteStream *s, int status) {
  (void)status;
  http_connection_abort(session_of(s)->connection);
}

static void on_written(ByteStream *s, int status) {
  HttpConnection *c = session_of(s)->connection;
  c->write_deadline = 0;
  http_buffered_queue(c, 0);
  if (status < 0)
    http_connection_abort(c);
  else
    http2_session_due(c->http2);
}

static const ByteStreamUser user = {.room = on_room,
                                    .came = on_came,
                                    .ended = on_ended,
                                    .written = on_written,
                                    .closed = http_connection_closed};

static bool greet(Http2Session *s) {
  const HttpLimits *l = &s->connection->server->limits;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       l->max_header_bytes < UINT32_MAX ? (uint32_t)l->max_header_bytes : UINT32_MAX}};
  return !s->lib->nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings,
                                          sizeof settings / sizeof *settings) &&
         !s->lib->nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, HTTP2_WINDOW);
}

bool http2_session_open(HttpConnection *c) {
  const char *error;
  Http2Session *s = calloc(1, sizeof *s);
  if (!s) return false;
  s->connection = c;
  s->lib = http2_library(&error);
  s->ng = s->lib ? http2_session_new_ng(s) : NULL;
  if (!s->ng || !greet(s)) {
    if (s->ng) s->lib->nghttp2_session_del(s->ng);
    free(s);
    return false;
  }
  http2_frames_open(&s->frames, HTTP2_PREFACE);
  c->http2 = s;
  c->bytes.user = &user;
  c->phase = PHASE_CARRYING;
  http_connection_set_deadline(c, c->server->limits.header_timeout); /* for the first head */
  http2_session_due(s);
  return true;
}

bool http2_session_free(Http2Session *s) {
  HttpServer *server = s->connection->server;
  if (s->n_streams) return false;
  if (s->due) {
    Http2Session **link = &server->http2_due;
    while (*link != s) link = &(*link)->next_due;
    *link = s->next_due;
  }
  s->lib->nghttp2_session_del(s->ng);
  http2_head_free(&s->head);
  free(s);
  return true;
}

void http2_session_due(Http2Session *s) {
  HttpServer *server = s->connection->server;
  if (s->due) return;
  s->due = true;
  s->next_due = server->http2_due;
  server->http2_due = s;
  runtime_at_pass_end(server->rt, &server->pass);
}

/* --- its end --- */

static bool is_open(const Http2Session *s) { return s->connection->phase == PHASE_CARRYING; }

/* What is to be sent is the last thing the client gets. */
static void enter_last(Http2Session *s) {
  http_connection_enter_last(s->connection, s->has_retired ? AFTER_CLOSE : AFTER_LINGER);
  http_server_due(s->connection->server, s->connection);
}

static void end(Http2Session *s, uint32_t error) {
  s->lib->nghttp2_session_terminate_session(s->ng, error);
  http2_session_due(s);
}

void http2_session_charge(Http2Session *s, Http2Cost cost) {
  Runtime *rt = s->connection->server->rt;
  if (http2_guard_take(&s->guard, uv_now(&rt->loop), cost)) return;
  if (!s->is_flooding) observe_limited(rt, "http2_frames");
  s->is_flooding = true;
  end(s, NGHTTP2_ENHANCE_YOUR_CALM);
}

void http2_session_retire(Http2Session *s) {
  if (s->retires || !is_open(s)) return;
  s->retires = true;
  s->lib->nghttp2_submit_shutdown_notice(s->ng);
  s->wants_ping = true;
  http_connection_set_deadline(s->connection, GOODBYE_TIMEOUT);
  http2_session_due(s);
}

void http2_session_expire(Http2Session *s) {
  if (s->retires && !s->has_retired)
    http2_session_farewell(s);
  else if (is_open(s))
    end(s, NGHTTP2_NO_ERROR);
}

void http2_session_leave(Http2Session *s) {
  s->retires = s->has_retired = true;
  s->wants_ping = false;
  end(s, NGHTTP2_NO_ERROR);
}

void http2_session_farewell(Http2Session *s) {
  if (!s->retires || s->has_retired) return;
  s->has_retired = true;
  s->lib->nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
                                s->lib->nghttp2_session_get_last_proc_stream_id(s->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
  http2_session_due(s);
}

void http2_session_look(Http2Session *s) {
  const HttpConnection *c = s->connection;
  enum { RESTS = 2 };
  if (s->rest == RESTS || s->n_streams || c->out.len || byte_stream_is_writing(&c->bytes) ||
      s->lib->nghttp2_session_want_write(s->ng))
    return;
  if (++s->rest == RESTS) http2_memory_rest(&s->memory);
}

void http2_session_over(Http2Session *s) {
  for (Http2Stream *st = s->streams; st; st = st->next) {
    st->id = 0;
    st->connection.bytes.fd = -1;
    st->was_reset = true;
    http2_stream_note(st);
  }
  s->connection->kept = 0;
  http2_session_due(s);
}

/* --- bytes that come --- */

static void tell_news(Http2Session *s) {
  for (Http2Stream *st; (st = s->news);) {
    s->news = st->next_news;
    http2_stream_news(st);
  }
}

/* Notes how much there is of a head whose end has not come; refuses it if there is no room. */
static void note_head(Http2Session *s) {
  HttpConnection *c = s->connection;
  Http2Stream *st = s->reading;
  size_t kept = st ? st->in.cap + http2_head_size(&s->head) : 0;
  if (kept <= LITTLE) kept = 0;
  if (kept == c->kept) return;
  c->kept = kept;
  http_buffered_note(c);
  if (!kept || !http_buffered_is_full(c->server)) return;
  observe_limited(c->server->rt, "max_buffered");
  http2_session_refuse_head(s);
  c->kept = 0;
  http_buffered_note(c);
}

/* The client has a limited time for a head it has begun, and for the next one if there is no
 * stream. */
static void set_deadline(Http2Session *s) {
  HttpConnection *c = s->connection;
  const HttpLimits *l = &c->server->limits;
  bool waits = !s->n_streams, had = c->deadline != 0;
  if (s->retires && !s->has_retired) return;
  if (s->head_stream && (!had || !s->is_head_timed)) {
    http_connection_set_deadline(c, l->header_timeout);
  } else if (!s->head_stream && waits && (!had || s->is_head_timed)) {
    http_connection_set_deadline(c, l->keep_alive);
  } else if (!s->head_stream && !waits) {
    c->deadline = 0;
  }
  s->is_head_timed = s->head_stream != 0;
}

void http2_session_came(Http2Session *s, const char *bytes, size_t n) {
  HttpConnection *c = s->connection;
  if (!is_open(s)) return;
  ssize_t rc = 0;
  while (n && rc >= 0) {
    Http2Frame frame;
    size_t part = http2_frames_look(&s->frames, bytes, n, &frame);
    if (frame != HTTP2_FRAME_NONE && !http2_session_check_frame(s, frame)) break;
    rc = s->lib->nghttp2_session_mem_recv(s->ng, (const uint8_t *)bytes, part);
    bytes += part;
    n -= part;
  }
  note_head(s);
  tell_news(s);
  if (rc < 0) {
    http_connection_abort(c);
    return;
  }
  set_deadline(s);
  if (byte_stream_is_writing(&c->bytes) &&
      s->lib->nghttp2_session_get_outbound_queue_size(s->ng) > MAX_ANSWERS)
    http_connection_pause(c);
  http2_session_due(s);
}

/* --- the end of a pass --- */

static bool may_pull(const Http2Session *s) {
  const HttpConnection *c = s->connection;
  return !s->is_broken && !http_connection_is_closing(c) && !byte_stream_is_writing(&c->bytes);
}

bool http2_session_is_prompt(const Http2Session *s) {
  return may_pull(s) && s->connection->out.len < MAX_OUT &&
         !s->lib->nghttp2_session_get_outbound_queue_size(s->ng);
}

void http2_session_pull(Http2Session *s) {
  HttpConnection *c = s->connection;
  const uint8_t *frame;
  if (!may_pull(s)) return;
  s->rest = 0;
  while (c->out.len < MAX_OUT) {
    ssize_t n = s->lib->nghttp2_session_mem_send(s->ng, &frame);
    if (!n && s->wants_ping) { /* nghttp2 would send it before what it is to follow */
      static const uint8_t data[8] = "goodbye";
      s->wants_ping = false;
      s->lib->nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, data);
      continue;
    }
    if (!n) break;
    buffer_pool_take(&c->server->batch_pool, &c->out); /* one that has no frames holds none */
    if (n < 0 || !buffer_add(&c->out, frame, (size_t)n)) {
      s->is_broken = true;
      http2_session_due(s);
      break;
    }
  }
}

/* Tells the users of closed streams, which may free them, and the connection. */
static void tell_closed(Http2Session *s) {
  for (Http2Stream *st; (st = s->closed);) {
    ByteStream *bytes = &st->connection.bytes;
    s->closed = st->next_closed;
    bytes->user->closed(bytes);
  }
}

/* Writes until there is nothing more, or the socket takes nothing more, or others should get their
   turn: then the rest is written from the loop. */
static void send_frames(Http2Session *s) {
  HttpConnection *c = s->connection;
  for (int i = 0; !http_connection_is_closing(c); i++) {
    http2_session_pull(s);
    if (!c->out.len || byte_stream_is_writing(&c->bytes)) return;
    if (i == ROUNDS) {
      http_write_rest(c, 0);
      return;
    }
    http_connection_pass(c);
  }
}

static bool is_over(const Http2Session *s) {
  return !s->lib->nghttp2_session_want_read(s->ng) && !s->lib->nghttp2_session_want_write(s->ng);
}

void http2_session_pass(Http2Session *s) {
  HttpConnection *c = s->connection;
  tell_news(s);
  send_frames(s);
  if (!http_connection_is_closing(c)) {
    if (s->is_broken)
      http_connection_abort(c);
    else if (is_open(s) && is_over(s))
      enter_last(s);
    else if (!byte_stream_is_writing(&c->bytes))
      http_connection_resume(c);
  }
  tell_news(s);
  if (s->closed) {
    s->n_streams++; /* so that it is not freed here */
    tell_closed(s);
    s->n_streams--;
  }
  if (c->phase == PHASE_CLOSED)
    http_connection_release(c);
  else if (is_open(s))
    set_deadline(s);
}

const Http2Calls http2_session_calls = {.open = http2_session_open,
                                        .came = http2_session_came,
                                        .pass = http2_session_pass,
                                        .retire = http2_session_retire,
                                        .expire = http2_session_expire,
                                        .leave = http2_session_leave,
                                        .look = http2_session_look,
                                        .over = http2_session_over,
                                        .free = http2_session_free,
                                        .has_all = http2_stream_has_all,
                                        .release = http2_stream_release};
