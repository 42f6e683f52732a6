#include "http/server/http_redirect.h"

#include "http/server/http_answer.h"
#include "http/server/http_server.h"
#include <stdio.h>

enum { HTTPS_PORT = 443 };

/* The host that the request is for, checked with the head (RFC 9112 section 3.2): the target's or
   the Host header's; of length 0 if it has none. */
static HttpHeader host_of(const HttpRequest *r) {
  const char *head = http_request_head(r), *target = head + r->target.at;
  const char *lines = head + r->headers.at;
  size_t n = r->headers.len;
  HttpHeader h;
  if (*target != '/') {
    const char *slashes = memchr(target, '/', r->target.len), *end = target + r->target.len;
    const char *host = slashes ? slashes + 2 : end, *p = host;
    while (p < end && *p != '/' && *p != '?') p++;
    return (HttpHeader){.value = host, .value_len = (size_t)(p - host)};
  }
  while (http_header_next(&lines, &n, &h))
    if (http_header_is(h.name, h.name_len, "host")) return h;
  return (HttpHeader){0};
}

/* The length of the host without its port. */
static size_t name_length(const HttpHeader *host) {
  size_t n = host->value_len;
  while (n && host->value[n - 1] >= '0' && host->value[n - 1] <= '9') n--;
  return n && host->value[n - 1] == ':' ? n - 1 : host->value_len;
}

void http_redirect_answer(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  const char *head = http_request_head(r);
  HttpHeader host = host_of(r);
  int n = (int)name_length(&host);
  char port[8] = "";
  Buffer location = {0};
  if (!n) {
    http_answer_detail(c, 400, "no Host header", "");
    return;
  }
  if (c->server->https_port && c->server->https_port != HTTPS_PORT)
    snprintf(port, sizeof port, ":%u", c->server->https_port);
  bool ok = buffer_printf(&location, "Location: https://%.*s%s%.*s%s%.*s\r\n", n, host.value, port,
                          (int)r->path.len, head + r->path.at, r->query.len ? "?" : "",
                          (int)r->query.len, head + r->query.at) &&
            buffer_add_char(&location, 0);
  if (ok)
    http_answer_detail(c, 308, "Permanent Redirect", location.data);
  else
    http_answer_detail(c, 503, "out of memory", "");
  buffer_free(&location);
}
