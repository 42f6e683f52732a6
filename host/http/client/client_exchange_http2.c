/* Part of client_exchange.h: the head of a request in the form of HTTP/2, made of that of HTTP/1,
   so that both follow the same rules (which lines replace which). */
#include "http/client/client_exchange.h"
#include <string.h>
#include <strings.h>

static bool is(const char *name, size_t n, const char *other) {
  return n == strlen(other) && !strncasecmp(name, other, n);
}

/* RFC 9113 section 8.2.2: fields of a connection of HTTP/1. */
static bool is_left_out(const char *name, size_t n, const char *value, size_t len) {
  switch (n) {
  case 2:
    return is(name, n, "te") && !is(value, len, "trailers");
  case 7:
    return is(name, n, "upgrade");
  case 10:
    return is(name, n, "connection") || is(name, n, "keep-alive");
  case 14:
    return is(name, n, "http2-settings");
  case 16:
    return is(name, n, "proxy-connection");
  case 17:
    return is(name, n, "transfer-encoding");
  default:
    return false;
  }
}

static bool add(Buffer *fields, const char *name, size_t n, const char *value, size_t len) {
  nghttp2_nv nv = {(uint8_t *)name, (uint8_t *)value, n, len, NGHTTP2_NV_FLAG_NONE};
  return buffer_add(fields, (const char *)&nv, sizeof nv);
}

/* Adds the line "name: value". That of Host becomes `authority`, which is a place among `fields`.
 */
static bool add_line(Buffer *fields, size_t authority, const char *line, size_t n) {
  const char *colon = memchr(line, ':', n), *value = colon + 1, *end = line + n;
  size_t name = (size_t)(colon - line);
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (value < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
  size_t len = (size_t)(end - value);
  if (is(line, name, "host")) {
    nghttp2_nv *nv = (nghttp2_nv *)fields->data + authority;
    nv->value = (uint8_t *)value;
    nv->valuelen = len;
    return true;
  }
  return is_left_out(line, name, value, len) || add(fields, line, name, value, len);
}

size_t client_exchange_fields(ClientExchange *x, ClientOrigin *origin) {
  Buffer *head = &x->client->head, *fields = &x->client->fields;
  head->len = fields->len = 0;
  if (!client_exchange_build(x, origin, head)) return 0;
  const char *method = head->data, *end = head->data + head->len - 2;
  const char *target = (const char *)memchr(method, ' ', head->len) + 1;
  const char *line_end = memchr(target, '\r', (size_t)(end - target));
  const char *target_end = line_end - strlen(" HTTP/1.1");
  const char *scheme = origin->is_https ? "https" : "http";
  bool ok = add(fields, ":method", 7, method, (size_t)(target - 1 - method)) &&
            add(fields, ":scheme", 7, scheme, strlen(scheme)) &&
            add(fields, ":authority", 10, "", 0) &&
            add(fields, ":path", 5, target, (size_t)(target_end - target));
  for (const char *line = line_end + 2; ok && line < end; line = line_end + 2) {
    line_end = memchr(line, '\r', (size_t)(end - line));
    ok = add_line(fields, 2, line, (size_t)(line_end - line));
  }
  return ok ? fields->len / sizeof(nghttp2_nv) : 0;
}
