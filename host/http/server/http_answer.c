#include "http/server/http_answer.h"

#include "core/runtime.h"
#include "http/server/access_log.h"
#include "http/server/http_observed.h"
#include "http/server/http_redirect.h"
#include "http/server/http_server.h"
#include <stdio.h>

void http_answer_detail(HttpConnection *c, int status, const char *detail, const char *headers) {
  HttpFraming framing = http_connection_framing(c, status, false);
  if (!http_response_detail(&c->out, &c->server->date, &framing, detail, headers)) {
    http_connection_end_after(c, AFTER_CLOSE);
  }
  c->sent = framing.sent;
  http_server_due(c->server, c);
}

/* The request is answered, and had no handler. */
static void over(HttpConnection *c, const Route *route) {
  if (c->server->log) access_log_end(c, NULL);
  if (c->server->rt->observers) http_observed_at_once(c, route);
}

void http_answer_refuse(HttpConnection *c, int status, const char *detail) {
  bool has_route = c->phase == PHASE_ADMITTED || c->phase == PHASE_HANDLING;
  http_connection_enter_last(c, AFTER_LINGER);
  if (c->server->log) access_log_begin(c);
  http_answer_detail(c, status, detail, "");
  over(c, has_route ? c->match.route : NULL);
}

void http_answer_without_route(HttpConnection *c) {
  char allow[80], headers[100];
  if (c->server->log) access_log_begin(c);
  if (c->redirects && !c->request.no_path) {
    http_redirect_answer(c);
    over(c, NULL);
    return;
  }
  if (c->request.no_path) { /* OPTIONS * is about the server as a whole: RFC 9110 section 9.3.7 */
    bool options = c->request.method == HTTP_OPTIONS;
    http_router_allow((1u << ROUTE_ANY) - 1, allow);
    snprintf(headers, sizeof headers, "Allow: %s\r\n", allow);
    http_answer_detail(c, options ? 204 : 405, options ? "" : "Method Not Allowed", headers);
  } else if (c->match.allowed) {
    http_router_allow(c->match.allowed, allow);
    snprintf(headers, sizeof headers, "Allow: %s\r\n", allow);
    http_answer_detail(c, 405, "Method Not Allowed", headers);
  } else {
    http_answer_detail(c, 404, "Not Found", "");
  }
  over(c, NULL);
}
