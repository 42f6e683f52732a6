#include "http_answer.h"

#include "access_log.h"
#include "http_body.h"
#include "http_server.h"
#include "runtime.h"
#include <stdio.h>

/* Of a connection whose server stops: is the current request the last one that it answers? */
static bool is_last_request(const HttpConnection *c) {
  return c->server->closes_idle || !http_request_pending(&c->request);
}

HttpFraming http_connection_framing(HttpConnection *c, int status, bool streamed) {
  const HttpRequest *r = &c->request;
  if (r->state == REQUEST_IN_BODY && !streamed && !http_body_may_be_left(c))
    c->close_after = c->linger = true;
  /* Nothing more is read from a connection that is to be closed. */
  if (!r->keep_alive || (c->server->stopping && is_last_request(c))) c->close_after = true;
  bool is_batch = http_request_pending(r) > 0;
  buffer_pool_take(is_batch ? &c->server->batch_pool : &c->server->out_pool, &c->out);
  if (c->access) c->access->status = status;
  return (HttpFraming){
      .status = status,
      .head = r->method == HTTP_HEAD,
      .close = c->close_after,
      .say_keep_alive = r->minor == 0,
  };
}

void http_connection_detail(HttpConnection *c, int status, const char *detail,
                            const char *headers) {
  HttpFraming framing = http_connection_framing(c, status, false);
  if (!http_response_detail(&c->out, &c->server->date, &framing, detail, headers)) {
    c->close_after = true;
  } else if (c->access) {
    c->access->bytes = framing.sent;
  }
  http_server_due(c->server, c);
}

void http_answer_refuse(HttpConnection *c, int status, const char *detail) {
  c->close_after = c->discard = c->linger = true;
  if (c->server->log) access_log_begin(c);
  http_connection_detail(c, status, detail, "");
  if (c->server->log) access_log_end(c, 0);
}

void http_answer_without_route(HttpConnection *c) {
  char allow[80], headers[100];
  if (c->server->log) access_log_begin(c);
  if (c->request.no_path) { /* OPTIONS * is about the server as a whole: RFC 9110 section 9.3.7 */
    bool options = c->request.method == HTTP_OPTIONS;
    router_allow((1u << ROUTE_ANY) - 1, allow);
    snprintf(headers, sizeof headers, "Allow: %s\r\n", allow);
    http_connection_detail(c, options ? 204 : 405, options ? "" : "Method Not Allowed", headers);
  } else if (c->match.allowed) {
    router_allow(c->match.allowed, allow);
    snprintf(headers, sizeof headers, "Allow: %s\r\n", allow);
    http_connection_detail(c, 405, "Method Not Allowed", headers);
  } else {
    http_connection_detail(c, 404, "Not Found", "");
  }
  if (c->server->log) access_log_end(c, 0);
}
