#include "http/server/http_observed.h"

#include "core/observe.h"
#include "http/server/http_server.h"
#include <llhttp.h>

static bool is_secure(const HttpConnection *c) {
  HttpScheme said = c->forwarded ? c->forwarded->scheme : HTTP_SCHEME_UNSAID;
  return said == HTTP_SCHEME_UNSAID ? c->bytes.tls_context != NULL : said == HTTP_SCHEME_HTTPS;
}

static ObservedText headers_of(const HttpRequest *r) {
  return (ObservedText){http_request_head(r) + r->headers.at, r->headers.len};
}

#define ENTRY(number, name, text) [number] = #text,
static const char *const method_names[UINT8_MAX + 1] = {HTTP_ALL_METHOD_MAP(ENTRY)};
#undef ENTRY

/* Of a request whose head has been read. What is only for beginnings is left as it is where nobody
   is told of them. */
static inline void describe(const HttpConnection *c, ObservedRequest *o, const Observers *of) {
  const HttpRequest *r = &c->request;
  o->method = method_names[r->method];
  o->version = c->is_stream ? "2" : r->minor ? "1.1" : "1.0";
  if (!of->begins) return;
  const char *head = http_request_head(r);
  o->target = (ObservedText){head + r->target.at, r->target.len};
  o->headers = headers_of(r);
  o->has_traceparent = r->has_traceparent;
}

static inline void set_route(ObservedRequest *o, const Route *route) {
  o->route = route->template;
  o->route_hash = route->template_hash;
}

void http_observed_begin(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  Observer *only = c->server->rt->observers->only;
  if (only && only->wants &&
      !only->wants(only, c->task, r->has_traceparent ? headers_of(r) : (ObservedText){0}))
    return;
  Observation *o = observe_start(c->server->rt, OBSERVED_REQUEST, c->task);
  if (!o) return;
  set_route(&o->request, c->match.route);
  describe(c, &o->request, o->of);
  o->request.is_secure = is_secure(c);
  c->observed = o;
  observe_began(o);
}

void http_observed_end(HttpConnection *c) {
  ObservedRequest *o = &c->observed->request;
  o->status = c->status;
  o->sent = c->status ? c->sent : 0;
  o->received = c->request.body_total;
  observe_ended(&c->observed);
}

void http_observed_at_once(HttpConnection *c, const Route *route) {
  const HttpRequest *r = &c->request;
  Observation *o = observe_start(c->server->rt, OBSERVED_REQUEST, NULL);
  if (!o) return;
  bool is_read = r->state == REQUEST_IN_BODY || r->state == REQUEST_COMPLETE;
  o->request = (ObservedRequest){0};
  if (is_read) describe(c, &o->request, o->of);
  if (route) set_route(&o->request, route);
  o->request.is_secure = is_secure(c);
  o->request.status = c->status;
  o->request.sent = c->sent;
  observe_began(o);
  observe_ended(&o);
}
