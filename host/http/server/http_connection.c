#include "http/server/http_connection.h"

#include "core/observe.h"
#include "http/server/access_log.h"
#include "http/server/http2_session.h"
#include "http/server/http_answer.h"
#include "http/server/http_body.h"
#include "http/server/http_buffered.h"
#include "http/server/http_handler.h"
#include "http/server/http_observed.h"
#include "http/server/http_server.h"
#include "http/server/http_stream.h"
#include "http/server/http_tail.h"
#include "http/server/http_upgrade.h"
#include "http/server/http_write.h"
#include <assert.h>
#include <stdlib.h>

enum {
  MAX_OUT = 64 * 1024,      /* bytes of responses collected before they are written */
  MAX_BELIEVED = 512 << 20, /* bytes: a Content-Length above this, and above max_body, is a 400 */
  ROOM_IF_FULL = 2048,      /* bytes read at once while the server keeps more than max_buffered */
  MAX_IN_A_ROW = 32,        /* pipelined requests of one connection in one pass */
};

void http_connection_set_deadline(HttpConnection *c, uint64_t ms) {
  c->waits_since = uv_now(&c->server->rt->loop);
  c->deadline = ms && ms != HTTP_NO_LIMIT ? c->waits_since + ms : 0;
}

static HttpConnection *connection_of(ByteStream *s) {
  return container_of(s, HttpConnection, bytes);
}

static void set_body_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  uint64_t now = http_server_now(c->server);
  c->waits_since = now;
  c->deadline = http_pace_deadline(&c->body_pace, now, l->body_timeout, l->body_rate);
  if (l->body_total == HTTP_NO_LIMIT) return;
  if (!c->body_due) c->body_due = now + l->body_total;
  if (!c->deadline || c->body_due < c->deadline) c->deadline = c->body_due;
}

/* --- the limit max_per_ip --- */

/* Counts the client. False: it has as much as it may. */
static bool count_client(HttpConnection *c) {
  uint64_t most = c->server->limits.max_per_ip;
  if (most == HTTP_NO_LIMIT) return true;
  c->is_counted = http_clients_enter(&c->server->clients, http_connection_client(c), most);
  if (!c->is_counted) observe_limited(c->server->rt, "max_per_ip");
  return c->is_counted;
}

void http_connection_uncount(HttpConnection *c) {
  if (c->is_counted) http_clients_leave(&c->server->clients, http_connection_client(c));
  c->is_counted = false;
}

static RouteMethod route_method(uint8_t method) {
  switch (method) {
  case HTTP_GET:
    return ROUTE_GET;
  case HTTP_POST:
    return ROUTE_POST;
  case HTTP_PUT:
    return ROUTE_PUT;
  case HTTP_PATCH:
    return ROUTE_PATCH;
  case HTTP_DELETE:
    return ROUTE_DELETE;
  case HTTP_HEAD:
    return ROUTE_HEAD;
  case HTTP_OPTIONS:
    return ROUTE_OPTIONS;
  default:
    return ROUTE_METHODS;
  }
}

/* --- requests --- */

/* Takes the server's root path off the request's, if that begins with it; a proxy may have done
   so. */
static void leave_root(HttpConnection *c) {
  HttpSpan *path = &c->request.path;
  size_t n = c->server->root_path_len;
  const char *p = http_request_head(&c->request) + path->at;
  if (path->len < n || memcmp(p, c->server->root_path, n) != 0) return;
  if (path->len == n) {
    path->len = 1; /* the slash with which it begins */
  } else if (p[n] == '/') {
    path->at += (uint32_t)n;
    path->len -= (uint32_t)n;
  }
}

static void find_route(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  if (c->redirects) {
    c->match = (RouteMatch){0};
    c->phase = PHASE_ADMITTED;
    return;
  }
  if (c->server->root_path_len) leave_root(c);
  http_router_find(c->server->router, route_method(r->method), http_request_head(r) + r->path.at,
                   r->path.len, r->path_escaped, &c->match);
  c->phase = PHASE_ADMITTED;
}

/* False: there was no memory, and the request was refused. */
static bool start_handler(HttpConnection *c) {
  c->phase = PHASE_HANDLING;
  c->deadline = 0;
  c->asked_peer = false;
  c->number = ++c->server->n_requests;
  c->status = 0;
  if (c->server->log) access_log_begin(c);
  c->in_a_row++;
  if (http_handler_start(c)) {
    if (c->server->rt->observers) http_observed_begin(c);
    return true;
  }
  http_answer_refuse(c, 503, "out of memory");
  return false;
}

/* Notes what the trusted proxy says of the current request. False: it was refused. */
static bool believe(HttpConnection *c) {
  const char *wrong = http_forwarded_read(c->forwarded, &c->request, &c->server->trust, &c->peer);
  if (!wrong && count_client(c)) return true;
  http_forwarded_reset(c->forwarded, &c->peer);
  if (wrong)
    http_answer_refuse(c, 400, wrong);
  else
    http_answer_refuse(c, 429, "too many requests of this address at once");
  return false;
}

/* The body is too large. If the route can render that, as with middleware, its handler starts with
   a body that cannot be read. */
static void refuse_body(HttpConnection *c) {
  const char *detail = http_response_reason(413);
  if (!c->match.route || !c->match.route->renders || !http_body_begin(c)) {
    http_answer_refuse(c, 413, detail);
    return;
  }
  http_body_fail(c, 413, detail);
  if (!start_handler(c)) http_body_over(c);
}

/* The head of a request with a body has been read. False: it was refused. */
static bool admit_body(HttpConnection *c) {
  HttpRequest *r = &c->request;
  find_route(c);
  if (c->forwarded && !believe(c)) return false;
  if (c->match.route && c->match.route->max_body != ROUTE_MAX_BODY_UNSET)
    r->max_body = c->match.route->max_body;
  if (!r->chunked && r->content_length > r->max_body) {
    if (r->content_length > MAX_BELIEVED)
      http_answer_refuse(c, 400, "a Content-Length beyond any limit of this server");
    else
      refuse_body(c);
    return false;
  }
  return true;
}

/* Waits: the client has to send more first. */
static void wait_for_client(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  /* No request can follow, or none is accepted. */
  if (c->bytes.ended ||
      ((c->server->closes_idle || c->server->is_full) && r->state == REQUEST_IDLE)) {
    http_connection_enter_last(c, AFTER_CLOSE);
    http_server_due(c->server, c);
  } else if (r->state == REQUEST_IDLE) {
    c->phase = PHASE_IDLE;
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  } else if (r->state == REQUEST_IN_BODY) {
    c->phase = PHASE_DRAINING;
    set_body_deadline(c);
  } else if (c->phase != PHASE_IN_HEAD) { /* its time counts from the first byte */
    c->phase = PHASE_IN_HEAD;
    http_connection_set_deadline(c, c->server->limits.header_timeout);
  }
}

static void end_request(HttpConnection *c) {
  if (c->forwarded) {
    http_connection_uncount(c); /* a proxy's connection has requests of many */
    http_forwarded_reset(c->forwarded, &c->peer);
  }
  c->ended++;
  http_request_next(&c->request);
  if (c->buffered) http_buffered_note(c);
  c->phase = PHASE_IDLE;
  c->body_pace.since = 0;
  c->body_due = 0;
}

/* There is no route for the request. Does the connection continue? */
static bool answer_without_route(HttpConnection *c) {
  c->in_a_row++;
  http_answer_without_route(c);
  if (c->after != AFTER_NEXT) http_connection_enter_last(c, c->after);
  return c->phase != PHASE_LAST;
}

/* The head has come, and the body will take a while. False: the handler has to wait for it. */
static bool start_early(HttpConnection *c) {
  if (c->phase != PHASE_ADMITTED || c->request.state != REQUEST_IN_BODY) return false;
  if (!c->match.route) {
    if (!answer_without_route(c)) return true;
    c->phase = PHASE_DRAINING;
    return false;
  }
  if (c->buffered) http_buffered_note(c); /* the body has left the buffer of the head */
  bool is_full = http_buffered_is_full(c->server);
  if (is_full) observe_limited(c->server->rt, "max_buffered");
  if (is_full || !http_body_begin(c)) {
    http_answer_refuse(c, 503, is_full ? HTTP_BUFFERED_DETAIL : "out of memory");
    return true;
  }
  if (start_handler(c))
    http_body_progress(c, HTTP_MORE);
  else
    http_body_over(c);
  return true;
}

/* It has had its turn: the rest of a long pipeline, or of one whose client does not read, waits for
   a later pass. */
static bool had_turn(const HttpConnection *c) {
  return byte_stream_is_writing(&c->bytes) || c->in_a_row >= MAX_IN_A_ROW || c->out.len > MAX_OUT ||
         c->lent;
}

/* Received bytes of an unwanted body are discarded. */
static void forget_body(HttpConnection *c) { http_request_give(&c->request, &c->request.body); }

/* IDLE, IN_HEAD, DRAINING: continues with the parser's result for the received bytes. */
static void advance(HttpConnection *c, HttpProgress progress) {
  for (;;) {
    switch (progress) {
    case HTTP_MORE:
      if (start_early(c)) return;
      if (c->phase == PHASE_DRAINING) forget_body(c);
      wait_for_client(c);
      return;
    case HTTP_HEAD_READ:
      if (!admit_body(c)) return;
      break;
    case HTTP_BAD:
      if (c->phase == PHASE_DRAINING) { /* it has its answer */
        http_connection_enter_last(c, AFTER_LINGER);
        http_server_due(c->server, c);
      } else if (c->request.error_status == 413 && c->phase == PHASE_ADMITTED) {
        refuse_body(c);
      } else {
        http_answer_refuse(c, c->request.error_status, c->request.error_detail);
      }
      return;
    case HTTP_COMPLETE:
      if (c->phase != PHASE_DRAINING) {
        if (c->phase != PHASE_ADMITTED) {
          find_route(c);
          if (c->forwarded && !believe(c)) return;
        }
        if (c->match.route) {
          start_handler(c);
          return;
        }
        if (!answer_without_route(c)) return;
      }
      end_request(c);
      if (had_turn(c)) { /* no handler has to run first: the loop has to turn */
        c->phase = PHASE_POSTPONED;
        c->awaits_turn = true;
        http_server_due(c->server, c);
        return;
      }
      break;
    }
    progress = http_request_parse(&c->request);
  }
}

/* --- bytes that come --- */

static uv_buf_t on_room(ByteStream *s) {
  HttpConnection *c = connection_of(s);
  if (http_body_is_owed(c)) return http_body_room(c);
  bool is_full = http_buffered_is_full(c->server);
  return uv_buf_init(c->server->read_buffer, is_full ? ROOM_IF_FULL : HTTP_READ_BUFFER);
}

/* Has the client sent much that is to be kept, and is there no room for that? */
static bool keeps_too_much(HttpConnection *c) {
  if (!c->buffered && c->request.in.cap <= c->request.pool->size) return false;
  http_buffered_note(c);
  return c->buffered && http_buffered_is_full(c->server);
}

/* What the client has sent was parsed. `was_idle`: none of a request had come before. */
static void was_fed(HttpConnection *c, bool was_idle, HttpProgress progress) {
  /* Empty lines begin no request, and give its client no more time. */
  if (was_idle && progress == HTTP_MORE && c->request.state == REQUEST_IDLE) return;
  if (keeps_too_much(c) && progress == HTTP_MORE && c->request.state == REQUEST_IN_HEAD) {
    observe_limited(c->server->rt, "max_buffered");
    http_answer_refuse(c, 503, HTTP_BUFFERED_DETAIL);
    return;
  }
  advance(c, progress);
}

static void on_came(ByteStream *s, const char *bytes, size_t n) {
  HttpConnection *c = connection_of(s);
  c->body_pace.moved += n;
  if (http_body_is_owed(c)) {
    c->body->is_fast = n >= HTTP_BODY_FAST;
    http_body_progress(c, http_request_feed(&c->request, bytes, n));
    return;
  }
  if (c->after != AFTER_NEXT) return;
  if (!c->task && (byte_stream_is_writing(s) || c->lent)) c->phase = PHASE_POSTPONED;
  if (!c->task && c->phase != PHASE_POSTPONED)
    was_fed(c, c->phase == PHASE_IDLE, http_request_feed(&c->request, bytes, n));
  else if (!http_request_keep(&c->request, bytes, n))
    http_connection_abort(c);
  else if (http_request_pending(&c->request) > c->server->limits.read_ahead || keeps_too_much(c))
    http_connection_pause(c);
}

static void on_ended(ByteStream *s, int status) {
  HttpConnection *c = connection_of(s);
  if (status != UV_EOF || c->phase == PHASE_LINGERING || http_body_is_owed(c)) {
    http_connection_abort(c);
    return;
  }
  if (c->phase == PHASE_IDLE || c->phase == PHASE_IN_HEAD || c->phase == PHASE_DRAINING)
    wait_for_client(c);
  /* A running handler continues: http_connection_pass. */
  http_server_due(c->server, c);
}

void http_connection_pause(HttpConnection *c) {
  if (!c->bytes.paused) c->paused_at = uv_now(&c->server->rt->loop);
  byte_stream_pause(&c->bytes);
}

void http_connection_resume(HttpConnection *c) {
  if (!c->bytes.paused || http_connection_is_closing(c)) return;
  c->body_pace.since = 0; /* the pause was ours */
  if (c->body_due) c->body_due += uv_now(&c->server->rt->loop) - c->paused_at;
  byte_stream_resume(&c->bytes);
}

/* Looks at the next request, or the part of it that has come. */
static void go_on(HttpConnection *c) {
  c->phase = c->request.state == REQUEST_IDLE      ? PHASE_IDLE
             : c->request.state == REQUEST_IN_HEAD ? PHASE_IN_HEAD
                                                   : PHASE_DRAINING;
  if (http_request_pending(&c->request))
    advance(c, http_request_parse(&c->request));
  else
    wait_for_client(c);
  if (http_request_pending(&c->request) <= c->server->limits.read_ahead) http_connection_resume(c);
}

/* --- responses --- */

/* If the server is stopping or full: is the current request the last one on this connection? */
static bool is_last_request(const HttpConnection *c) {
  return c->server->closes_idle || !http_request_pending(&c->request);
}

HttpFraming http_connection_framing(HttpConnection *c, int status, bool streamed) {
  const HttpRequest *r = &c->request;
  if (r->state == REQUEST_IN_BODY && !streamed && !http_body_may_be_left(c))
    http_connection_end_after(c, AFTER_LINGER);
  /* Stops reading from a connection that will be closed. */
  if (!r->keep_alive || ((c->server->stopping || c->server->is_full) && is_last_request(c)))
    http_connection_end_after(c, AFTER_CLOSE);
  bool is_batch = http_request_pending(r) > 0;
  buffer_pool_take(is_batch ? &c->server->batch_pool : &c->server->out_pool, &c->out);
  c->status = (uint16_t)status;
  return (HttpFraming){
      .status = status,
      .head = r->method == HTTP_HEAD,
      .close = c->after != AFTER_NEXT,
      .say_keep_alive = r->minor == 0,
  };
}

void http_connection_running(HttpConnection *c) {
  if (c->bytes.ended) http_server_due(c->server, c);
}

/* The answered request's body is not complete: either it is read to reach the next request, or the
   connection is closed. */
static void leave_body(HttpConnection *c) {
  if (c->after != AFTER_NEXT || !http_body_may_be_left(c))
    http_connection_end_after(c, AFTER_LINGER);
  forget_body(c);
  http_connection_resume(c);
}

void http_connection_responded(HttpConnection *c) {
  if (c->server->log) access_log_end(c, c->task);
  c->task = NULL;
  if (c->observed) http_observed_end(c);
  if (c->phase >= PHASE_UPGRADED) {
    if (c->phase == PHASE_UPGRADED) http_server_due(c->server, c); /* for what follows */
    if (c->upgrade) c->upgrade->calls->handled(c);
    http_connection_release(c);
    return;
  }
  http_server_due(c->server, c);
  if (c->held) http_buffered_release(c);
  bool leaves_body = c->request.state == REQUEST_IN_BODY;
  if (leaves_body) leave_body(c);
  if (c->body) http_body_over(c);
  if (c->after != AFTER_NEXT) {
    http_connection_enter_last(c, c->after);
    return;
  }
  if (leaves_body) {
    wait_for_client(c);
    return;
  }
  end_request(c);
  if (had_turn(c))
    c->phase = PHASE_POSTPONED;
  else
    go_on(c);
}

/* --- the end of a pass --- */

static void write_out(HttpConnection *c) {
  if (c->lent) {
    http_write_lent(c);
    return;
  }
  bool behind = false;
  if (c->stream) {
    c->stream->sent = true;
    behind = c->stream->behind;
  }
  ssize_t sent = behind ? 0 : byte_stream_send(&c->bytes, c->out.data, c->out.len);
  if (sent < 0) {
    http_connection_abort(c);
  } else if ((size_t)sent == c->out.len) {
    if (c->queued) http_buffered_queue(c, 0);
    http_server_give_out(c->server, &c->out);
  } else {
    http_write_rest(c, (size_t)sent);
  }
}

static void on_written(ByteStream *s, int status) {
  HttpConnection *c = connection_of(s);
  c->write_deadline = 0;
  http_buffered_queue(c, 0);
  if (status < 0) {
    http_connection_abort(c);
    return;
  }
  /* A response took longer than the time allowed until the next request. */
  if (!c->task && c->request.state == REQUEST_IDLE)
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  http_server_due(c->server, c);
}

/* The client has ended its side while a handler waits. It may still want its answer, or have gone:
   the two look alike until something is sent. If it is allowed, an interim response is sent (RFC
   9110 section 15.2), which a closed socket answers with a reset; otherwise the system probes,
   which takes longer. */
static void ask_peer(HttpConnection *c) {
  static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
  if (!c->asked_peer) {
    c->asked_peer = true;
    byte_stream_watch_peer(&c->bytes);
    if (c->phase == PHASE_HANDLING && c->request.minor && !byte_stream_is_writing(&c->bytes) &&
        buffer_add(&c->out, interim, sizeof interim - 1))
      write_out(c);
  }
  if (!http_connection_is_closing(c) && byte_stream_has_gone(&c->bytes)) http_connection_abort(c);
}

#ifdef ML_DEBUG
/* The invariants of http_connection.h, as far as they can be checked here. */
static void check(const HttpConnection *c) {
  bool handles = c->phase == PHASE_HANDLING || c->phase == PHASE_ANSWERED;
  bool waits = c->phase == PHASE_IDLE || c->phase == PHASE_IN_HEAD || c->phase == PHASE_DRAINING ||
               c->phase == PHASE_POSTPONED;
  assert(c->phase != PHASE_ADMITTED);
  assert(handles ? c->task != NULL : !c->task || c->phase >= PHASE_UPGRADED);
  assert(!c->body || handles);
  assert(!c->stream || c->phase == PHASE_ANSWERED);
  assert(!c->upgrade || c->phase == PHASE_ANSWERED || c->phase >= PHASE_UPGRADED);
  assert(c->phase != PHASE_UPGRADED || c->upgrade);
  assert(!c->lent || (c->out.len && !c->stream));
  assert(!waits || c->after == AFTER_NEXT);
  assert((c->phase != PHASE_LAST && c->phase != PHASE_LINGERING) || c->after != AFTER_NEXT);
}
#else
static inline void check(const HttpConnection *c) { (void)c; }
#endif

void http_connection_pass(HttpConnection *c) {
  check(c);
  c->in_a_row = 0;
  if (c->phase >= PHASE_UPGRADED) {
    if (c->phase == PHASE_UPGRADED && c->tails) http_tail_pass(c);
    if (c->upgrade) c->upgrade->calls->pass(c);
    return;
  }
  if (c->out.len && !byte_stream_is_writing(&c->bytes)) {
    write_out(c);
    if (http_connection_is_closing(c)) return;
  }
  if (c->stream) http_stream_flushed(c->stream);
  if (c->tails) http_tail_pass(c);
  if (c->task) {
    if (c->body) http_body_pass(c);
    /* It may run once before that: see http_connection_running. */
    if (c->bytes.ended && c->task->status != TASK_PENDING) ask_peer(c);
    if (c->upgrade) c->upgrade->calls->pass(c);
  } else if (byte_stream_is_writing(&c->bytes)) {
    return;
  } else if (c->phase == PHASE_LAST) {
    http_connection_end(c);
  } else if (c->awaits_turn) {
    c->awaits_turn = false;
    http_server_due_later(c->server, c);
  } else if (c->phase == PHASE_POSTPONED) {
    go_on(c);
  }
}

void http_connection_renew_deadline(HttpConnection *c) {
  bool told =
      !c->request.expects || (c->body && c->body->asked); /* a client may be waiting for us */
  if (told && http_body_is_owed(c))
    set_body_deadline(c);
  else
    c->deadline = 0;
}

/* --- */

/* The handshake is over: now the request has its time. */
static void on_secured(ByteStream *s) {
  HttpConnection *c = connection_of(s);
  TlsAgreed agreed;
  tls_session_agreed(byte_stream_tls(s), &agreed);
  if (agreed.n_alpn == 2 && !memcmp(agreed.alpn, "h2", 2)) {
    if (!c->server->http2_calls->open(c)) http_connection_abort(c);
    return;
  }
  http_connection_set_deadline(c, c->server->limits.header_timeout);
}

static const ByteStreamUser user = {.room = on_room,
                                    .came = on_came,
                                    .ended = on_ended,
                                    .written = on_written,
                                    .closed = http_connection_closed,
                                    .secured = on_secured};

/* In clear, where HTTP/2 is allowed there: which of the two is it? (RFC 9113 section 3.3) */
static void on_first_came(ByteStream *s, const char *bytes, size_t n) {
  HttpConnection *c = connection_of(s);
  HttpRequest *r = &c->request;
  if (!http_request_keep(r, bytes, n)) {
    http_connection_abort(c);
    return;
  }
  Http2Preface is = http2_frames_preface(r->in.data, r->in.len);
  if (is == HTTP2_PREFACE_MAYBE) return;
  s->user = &user;
  if (is == HTTP2_PREFACE_HTTP1) {
    was_fed(c, true, http_request_parse(r));
  } else if (is == HTTP2_PREFACE_IS && c->server->http2_calls->open(c)) {
    c->server->http2_calls->came(c->http2, r->in.data, r->in.len);
    http_request_give(r, &r->in);
  } else {
    http_connection_abort(c);
  }
}

static const ByteStreamUser first_user = {.room = on_room,
                                          .came = on_first_came,
                                          .ended = on_ended,
                                          .written = on_written,
                                          .closed = http_connection_closed};

/* Puts `c` into the server's list. */
static void enter(HttpConnection *c, HttpServer *server) {
  c->server = server;
  c->next = server->connections;
  c->link = &server->connections;
  if (c->next) c->next->link = &c->next;
  server->connections = c;
  http_request_open(&c->request, &server->limits, &server->in_pool, &server->out_pool);
}

/* A connection without its bytes. NULL if memory is out. */
static HttpConnection *new_connection(HttpServer *server) {
  HttpConnection *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  enter(c, server);
  server->n_connections++;
  return c;
}

/* Whose connection it is is known. False if it has too many, or memory is out. */
static bool meet(HttpConnection *c) {
  if (!http_trust_has(&c->server->trust, &c->peer)) return count_client(c);
  c->forwarded = calloc(1, sizeof *c->forwarded);
  if (!c->forwarded) return false;
  http_forwarded_reset(c->forwarded, &c->peer);
  return true;
}

void http_connection_open(HttpServer *server, int fd, HttpEntry entry, const ByteStreamPeer *peer) {
  HttpConnection *c = new_connection(server);
  if (!c) {
    close(fd);
    return;
  }
  int rc = byte_stream_open(&c->bytes, &server->rt->loop, fd, &user);
  if (!rc) byte_stream_peer(&c->bytes, &c->peer);
  if (peer) c->peer = *peer;
  if (rc || !meet(c)) {
    http_connection_close(c, false);
    return;
  }
  c->redirects = entry == HTTP_REDIRECTS;
  if (server->http2 == HTTP2_CLEAR && entry != HTTP_SECURE) c->bytes.user = &first_user;
  if (entry != HTTP_SECURE)
    http_connection_set_deadline(c, server->limits.header_timeout);
  else if (byte_stream_secure(&c->bytes, server->tls, NULL))
    http_connection_close(c, false);
  else
    http_connection_set_deadline(c, server->limits.handshake_timeout);
}

bool http_connection_open_memory(HttpServer *server, MemoryEnd *end) {
  HttpConnection *c = new_connection(server);
  if (!c) return false;
  byte_stream_open_memory(&c->bytes, &server->rt->loop, end, &user);
  byte_stream_peer(&c->bytes, &c->peer);
  meet(c); /* one more header that is not believed, if memory is out */
  return true;
}

bool http_connection_open_stream(HttpConnection *c, HttpConnection *carrier,
                                 const ByteStreamBelow *below) {
  if (carrier->forwarded && !(c->forwarded = calloc(1, sizeof *c->forwarded))) return false;
  enter(c, carrier->server);
  c->http2 = carrier->http2;
  c->is_stream = true;
  c->redirects = carrier->redirects;
  c->peer = carrier->peer;
  if (c->forwarded) http_forwarded_reset(c->forwarded, &c->peer);
  byte_stream_open_below(&c->bytes, below, &user);
  c->bytes.fd = carrier->bytes.fd; /* how much may wait in the system is the socket's */
  c->bytes.tls_context = carrier->bytes.tls_context; /* only says that there is one */
  return true;
}

const TlsSession *http_connection_tls(const HttpConnection *c) {
  return byte_stream_tls(c->is_stream ? &c->http2->connection->bytes : &c->bytes);
}
