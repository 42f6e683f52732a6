#include "http/server/http_body.h"

#include "core/observe.h"
#include "http/server/http_buffered.h"
#include "http/server/http_server.h"
#include <stdlib.h>

bool http_body_begin(HttpConnection *c) {
  HttpBody *b = calloc(1, sizeof *b);
  if (!b) return false;
  b->connection = c;
  b->owners = 1;
  c->body = b;
  return true;
}

HttpBody *http_body_hold(HttpBody *b) {
  b->owners++;
  return b;
}

void http_body_drop(HttpBody *b) {
  if (--b->owners == 0) free(b);
}

static void wake(HttpBody *b) {
  ml_wait_wake(b->reader);
  b->reader.task = NULL;
}

const Buffer *http_body_bytes(const HttpBody *b) { return &b->connection->request.body; }

/* Is so much waiting that reading stops? */
static bool is_full(const HttpConnection *c) {
  return !c->body->whole && c->request.body.len >= HTTP_BODY_HIGH_WATER;
}

/* Continues to read, or holds the client back if nobody has taken the waiting bytes by the end of
   the pass; mostly somebody has. */
static void control(HttpConnection *c) {
  if (is_full(c))
    http_server_due(c->server, c);
  else
    http_connection_resume(c);
  http_connection_renew_deadline(c);
}

void http_body_ask(HttpBody *b, bool whole) {
  HttpConnection *c = b->connection;
  static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
  /* Not after the head of a streamed response, and not if the client is already sending. */
  if (!b->asked && c->request.expects && http_connection_may_answer(c) && !b->complete &&
      !b->error_status && !c->request.body_raw) {
    if (!buffer_add(&c->out, interim, sizeof interim - 1)) {
      http_body_fail(c, 503, "out of memory");
      return;
    }
    http_server_due(c->server, c);
  }
  b->asked = true;
  b->whole = whole;
  if (!b->complete && !b->error_status) control(c);
}

void http_body_taken(HttpBody *b) {
  HttpConnection *c = b->connection;
  Buffer *bytes = &c->request.body;
  bytes->len = 0;
  if (bytes->cap > 2 * HTTP_BODY_HIGH_WATER) buffer_free(bytes);
  http_buffered_note(c);
  if (!b->complete && !b->error_status) control(c);
}

uv_buf_t http_body_room(HttpConnection *c) {
  Buffer *bytes = &c->request.body;
  if (is_full(c)) return uv_buf_init(NULL, 0);
  /* A client that sends little at a time gets no large buffer of its own. */
  if (c->body->is_fast && !http_request_pending(&c->request)) {
    size_t room = c->body->whole ? HTTP_READ_BUFFER : HTTP_BODY_HIGH_WATER - bytes->len;
    if (buffer_reserve(bytes, room)) return uv_buf_init(bytes->data + bytes->len, (unsigned)room);
  }
  return uv_buf_init(c->server->read_buffer, HTTP_READ_BUFFER);
}

void http_body_progress(HttpConnection *c, HttpProgress progress) {
  HttpBody *b = c->body;
  if (progress == HTTP_BAD) {
    http_body_fail(c, c->request.error_status, c->request.error_detail);
    return;
  }
  http_buffered_note(c);
  b->complete = progress == HTTP_COMPLETE;
  if (!b->complete && http_buffered_is_full(c->server)) {
    observe_limited(c->server->rt, "max_buffered");
    http_body_refuse(c);
    return;
  }
  if (b->complete)
    http_connection_renew_deadline(c);
  else
    control(c);
  if (b->complete || !b->whole) wake(b);
}

void http_body_pass(HttpConnection *c) {
  if (!http_body_is_owed(c) || !is_full(c)) return;
  http_connection_pause(c);
  http_connection_renew_deadline(c);
}

void http_body_refuse(HttpConnection *c) {
  http_request_give(&c->request, &c->request.body);
  http_buffered_note(c);
  http_body_fail(c, 503, HTTP_BUFFERED_DETAIL);
}

void http_body_fail(HttpConnection *c, int status, const char *detail) {
  HttpBody *b = c->body;
  b->error_status = (uint16_t)status;
  b->error_detail = detail;
  http_connection_end_after(c, AFTER_LINGER);
  http_connection_resume(c); /* the rest is discarded */
  http_connection_renew_deadline(c);
  wake(b);
}

bool http_body_may_be_left(const HttpConnection *c) {
  const HttpRequest *r = &c->request;
  const HttpBody *b = c->body;
  if (r->state != REQUEST_IN_BODY) return true;     /* all of it has arrived */
  if (r->expects && !(b && b->asked)) return false; /* the client may send it, or not */
  return !r->chunked && r->content_length - r->body_total <= HTTP_BODY_THROWN;
}

void http_body_over(HttpConnection *c) {
  HttpBody *b = c->body;
  c->body = NULL;
  http_buffered_note(c);
  b->connection = NULL;
  wake(b);
  http_body_drop(b);
}
