#include "http_connection.h"

#include "access_log.h"
#include "http_answer.h"
#include "http_body.h"
#include "http_close.h"
#include "http_server.h"
#include "http_stream.h"
#include "http_write.h"
#include <poll.h>
#include <stdlib.h>

enum {
  MAX_OUT = 64 * 1024,      /* bytes of responses made before they are written */
  MAX_BELIEVED = 512 << 20, /* bytes of Content-Length: above, and above max_body, it is a 400 */
  MAX_IN_A_ROW = 32,        /* pipelined requests of one connection in one pass */
};

void http_connection_set_deadline(HttpConnection *c, uint64_t ms) {
  c->deadline = ms && ms != HTTP_NO_LIMIT ? uv_now(&c->server->rt->loop) + ms : 0;
}

static void set_body_deadline(HttpConnection *c) {
  const HttpLimits *l = &c->server->limits;
  c->deadline =
      http_pace_deadline(&c->body_pace, http_server_now(c->server), l->body_timeout, l->body_rate);
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

static void find_route(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  c->routed = true;
  router_find(c->server->router, route_method(r->method), http_request_head(r) + r->path.at,
              r->path.len, r->path_escaped, &c->match);
}

static bool start_handler(HttpConnection *c);

/* The body is more than is taken. Where the route can render that, as middleware does, its handler
   starts with a body that cannot be read. */
static void refuse_body(HttpConnection *c) {
  const char *detail = http_reason(413);
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

static void wait_for_client(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  if (c->eof || c->server->closes_idle) { /* no request can follow any more, or none is wanted */
    if (c->eof || r->state == REQUEST_IDLE) c->close_after = c->discard = true;
    http_server_due(c->server, c);
  }
  if (r->state == REQUEST_IDLE)
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  else if (r->state == REQUEST_IN_BODY)
    set_body_deadline(c);
  else if (!c->in_head)
    http_connection_set_deadline(c, c->server->limits.header_timeout);
  c->in_head = r->state == REQUEST_IN_HEAD; /* its time counts from the first byte */
}

static void end_request(HttpConnection *c) {
  http_request_next(&c->request);
  c->routed = c->leftover = false;
  c->body_pace.since = 0;
}

/* False: there was no memory for it, and the request was refused. */
static bool start_handler(HttpConnection *c) {
  c->in_head = false;
  c->deadline = 0;
  c->cancelled = c->answered = false;
  c->number = ++c->server->n_requests;
  if (c->server->log) access_log_begin(c);
  c->in_a_row++;
  if (c->server->start(c)) return true;
  http_answer_refuse(c, 503, "out of memory");
  return false;
}

/* The head is there, the body will take its time. False: nothing can be done before it is there. */
static bool start_early(HttpConnection *c) {
  if (c->leftover || !c->routed || c->request.state != REQUEST_IN_BODY) return false;
  if (!c->match.route) {
    http_answer_without_route(c);
    c->leftover = !c->close_after;
    c->discard = c->close_after;
    return c->close_after;
  }
  if (!http_body_begin(c)) {
    http_answer_refuse(c, 503, "out of memory");
    return true;
  }
  if (start_handler(c))
    http_body_progress(c, HTTP_MORE);
  else
    http_body_over(c);
  return true;
}

/* What came of a body that nobody wants is forgotten. */
static void forget_body(HttpConnection *c) { http_request_give(&c->request, &c->request.body); }

static void advance(HttpConnection *c, HttpProgress progress) {
  for (;;) {
    switch (progress) {
    case HTTP_MORE:
      if (start_early(c)) return;
      if (c->leftover) forget_body(c);
      wait_for_client(c);
      return;
    case HTTP_HEAD_READ:
      if (!admit_body(c)) return;
      break;
    case HTTP_BAD:
      if (c->leftover) { /* it has its answer */
        c->close_after = c->discard = c->linger = true;
        http_server_due(c->server, c);
        return;
      }
      if (c->request.error_status == 413 && c->routed)
        refuse_body(c);
      else
        http_answer_refuse(c, c->request.error_status, c->request.error_detail);
      return;
    case HTTP_COMPLETE:
      c->in_head = false;
      if (!c->leftover) {
        if (!c->routed) find_route(c);
        if (c->match.route) {
          start_handler(c);
          return;
        }
        http_answer_without_route(c);
        if (c->close_after) return;
      }
      end_request(c);
      break;
    }
    progress = http_request_parse(&c->request);
  }
}

static void alloc_read(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  HttpConnection *c = handle->data;
  *buffer = http_body_is_owed(c) ? http_body_room(c)
                                 : uv_buf_init(c->server->read_buffer, HTTP_READ_BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  HttpConnection *c = stream->data;
  if (n == 0 || n == UV_ENOBUFS) return;
  if (n < 0) {
    c->eof = true;
    if (n != UV_EOF || c->shut || http_body_is_owed(c)) {
      http_connection_abort(c);
      return;
    }
    /* A client that ends its side right after the request still gets the answer of a handler that
       does not wait: this is looked at when the pass is over. */
    if (!c->task && !c->postponed) wait_for_client(c);
    http_server_due(c->server, c);
    return;
  }
  c->body_pace.moved += (size_t)n;
  if (http_body_is_owed(c)) {
    c->body->is_fast = n >= HTTP_BODY_FAST;
    http_body_progress(c, http_request_feed(&c->request, buffer->base, (size_t)n));
    return;
  }
  if (c->discard || c->close_after) return;
  if (!c->task && c->write) c->postponed = true;
  if (!c->task && !c->postponed) {
    advance(c, http_request_feed(&c->request, buffer->base, (size_t)n));
    return;
  }
  if (!http_request_keep(&c->request, buffer->base, (size_t)n)) {
    http_connection_abort(c);
  } else if (http_request_pending(&c->request) > c->server->limits.read_ahead) {
    http_connection_pause(c);
  }
}

void http_connection_pause(HttpConnection *c) {
  c->paused = true;
  uv_read_stop((uv_stream_t *)&c->tcp);
}

void http_connection_resume(HttpConnection *c) {
  if (!c->paused || c->closing) return;
  c->paused = false;
  c->body_pace.since = 0; /* the pause was ours */
  uv_read_start((uv_stream_t *)&c->tcp, alloc_read, on_read);
}

static void go_on(HttpConnection *c) {
  if (http_request_pending(&c->request))
    advance(c, http_request_parse(&c->request));
  else
    wait_for_client(c);
  if (http_request_pending(&c->request) <= c->server->limits.read_ahead) http_connection_resume(c);
}

/* The answered request's body has not come to its end: it is either read for the sake of the next
   request, or the reason to close. */
static void leave_body(HttpConnection *c) {
  if (!http_body_may_be_left(c)) c->close_after = true;
  if (c->close_after) c->linger = true;
  c->leftover = true;
  forget_body(c);
  http_connection_resume(c);
}

void http_connection_responded(HttpConnection *c) {
  c->task = NULL;
  if (c->server->log) access_log_end(c, c->number);
  if (c->closing) {
    http_close_release(c);
    return;
  }
  http_server_due(c->server, c);
  if (c->request.state == REQUEST_IN_BODY) leave_body(c);
  if (c->body) http_body_over(c);
  if (c->close_after) {
    c->discard = true;
    return;
  }
  if (c->leftover) {
    wait_for_client(c);
    return;
  }
  end_request(c);
  /* The rest of a long pipeline, or of a client that does not read, waits for a later pass. */
  if (c->write || c->in_a_row >= MAX_IN_A_ROW || c->out.len > MAX_OUT)
    c->postponed = true;
  else
    go_on(c);
}

void http_connection_written(HttpConnection *c) {
  /* A response took longer than a client may take until its next request. */
  if (!c->task && c->request.state == REQUEST_IDLE)
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  http_server_due(c->server, c);
}

void http_connection_pass(HttpConnection *c) {
  c->in_a_row = 0;
  if (c->closing) return;
  if (c->out.len && !c->write) http_write_start(c);
  if (c->closing) return;
  if (c->stream) http_stream_flushed(c->stream);
  if (c->task) {
    if (c->body) http_body_pass(c);
    if (!c->eof) return;
    /* It may run once before: see http_connection_running. */
    if (c->task->status != TASK_PENDING) http_close_cancel_handler(c, "client disconnected");
    return;
  }
  if (c->write) return;
  if (c->close_after) {
    http_close_finish(c);
  } else if (c->postponed) {
    c->postponed = false;
    go_on(c);
  }
}

void http_connection_running(HttpConnection *c) {
  if (c->eof) http_server_due(c->server, c);
}

void http_connection_retire(HttpConnection *c) {
  if (c->closing || c->task) return; /* the response will say so */
  if (c->request.state == REQUEST_IDLE) c->close_after = c->discard = true;
  http_server_due(c->server, c);
}

void http_connection_renew_deadline(HttpConnection *c) {
  bool told = !c->request.expects || (c->body && c->body->asked); /* a client may wait for us */
  if (told && http_body_is_owed(c))
    set_body_deadline(c);
  else
    c->deadline = 0;
}

/* The client has not sent what it is to send. */
static void expire_read(HttpConnection *c) {
  c->deadline = 0;
  if (http_body_is_owed(c))
    http_body_fail(c, 408, "Request Timeout");
  else if (c->shut || c->leftover)
    http_connection_abort(c);
  else if (c->write) /* it is still busy with what it gets */
    http_connection_set_deadline(c, c->server->limits.keep_alive);
  else if (c->close_after || c->request.state == REQUEST_IDLE)
    http_connection_abort(c);
  else
    http_answer_refuse(c, 408, "Request Timeout");
}

/* While nothing is read, libuv does not tell that the client has gone; here it is noticed once in a
   while. Where more is on its way than the system takes, its end is behind that, and comes when the
   handler reads on. */
static bool has_gone(const HttpConnection *c) {
  struct pollfd watched = {.events = POLLRDHUP};
  return !uv_fileno((const uv_handle_t *)&c->tcp, &watched.fd) && poll(&watched, 1, 0) > 0;
}

void http_connection_expire(HttpConnection *c, uint64_t polled_at) {
  if (c->paused && c->task && !c->closing && has_gone(c)) {
    http_connection_abort(c);
    return;
  }
  if (c->write_deadline && c->write_deadline <= polled_at && http_write_expire(c)) return;
  if (c->deadline && c->deadline <= polled_at) expire_read(c);
}

void http_connection_open(HttpServer *server, int fd) {
  HttpConnection *c = calloc(1, sizeof *c);
  if (!c) {
    close(fd);
    return;
  }
  c->server = server;
  c->fd = fd;
  if (uv_tcp_init(&server->rt->loop, &c->tcp)) {
    close(fd);
    free(c);
    return;
  }
  c->tcp.data = c;
  c->next = server->connections;
  c->link = &server->connections;
  if (c->next) c->next->link = &c->next;
  server->connections = c;
  server->n_connections++;
  http_request_open(&c->request, &server->limits, &server->in_pool, &server->out_pool);
  if (uv_tcp_open(&c->tcp, fd)) {
    close(fd);
    http_close(c);
    return;
  }
  int size = sizeof c->peer;
  uv_tcp_getpeername(&c->tcp, &c->peer.any, &size);
  uv_tcp_nodelay(&c->tcp, 1);
  http_connection_set_deadline(c, c->server->limits.keep_alive);
  if (uv_read_start((uv_stream_t *)&c->tcp, alloc_read, on_read)) http_close(c);
}
