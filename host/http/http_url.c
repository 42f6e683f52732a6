#include "http/http_url.h"

#include <arpa/inet.h>
#include <string.h>

/* Which characters are allowed where; RFC 3986 allows fewer in the target, browsers allow the
   same. */
enum { IN_NAME = 1, IN_TARGET = 2, IN_IPV6 = 4 };
#define EVERYWHERE (IN_TARGET | IN_NAME | IN_IPV6)
static const uint8_t byte_class[256] = {
    ['!' ... '"'] = IN_TARGET,  ['$'] = IN_TARGET,           ['%'] = IN_TARGET | IN_IPV6,
    ['&' ... ','] = IN_TARGET,  ['-' ... '.'] = EVERYWHERE,  ['/'] = IN_TARGET,
    ['0' ... '9'] = EVERYWHERE, [':'] = IN_TARGET | IN_IPV6, [';' ... '@'] = IN_TARGET,
    ['A' ... 'Z'] = EVERYWHERE, ['['] = IN_TARGET,           [']' ... '^'] = IN_TARGET,
    ['_'] = EVERYWHERE,         ['`'] = IN_TARGET,           ['a' ... 'z'] = EVERYWHERE,
    ['{' ... '~'] = IN_TARGET,
};

static const char *skip(const char *p, const char *end, uint8_t class) {
  while (p < end && byte_class[(unsigned char)*p] & class) p++;
  return p;
}

/* Reads ":port" at `p`. Returns its end, or NULL. */
static const char *parse_port(const char *p, const char *end, uint16_t *port) {
  unsigned n = 0;
  const char *first = ++p;
  for (; p < end && *p >= '0' && *p <= '9'; p++)
    if ((n = n * 10 + (unsigned)(*p - '0')) > 65535) return NULL;
  if (p == first || n == 0) return NULL;
  *port = (uint16_t)n;
  return p;
}

size_t http_url_dots(const char *p, const char *end) {
  for (size_t dots = 0; dots <= 2; dots++) {
    if (p == end || *p == '/' || *p == '?') return dots;
    if (*p == '.')
      p++;
    else if (end - p >= 3 && *p == '%' && p[1] == '2' && (p[2] == 'e' || p[2] == 'E'))
      p += 3;
    else
      return 0;
  }
  return 0;
}

/* Is a segment of the path "." or ".."? */
static bool has_dot_segment(const char *p, const char *end) {
  for (; p < end && *p != '?'; p++)
    if (*p == '/' && http_url_dots(p + 1, end)) return true;
  return false;
}

bool http_url_is_number(const char *host, size_t len) {
  if (len && host[len - 1] == '.') len--;
  const char *dot = memrchr(host, '.', len);
  const char *p = dot ? dot + 1 : host, *end = host + len;
  if (p == end || *p < '0' || *p > '9') return false;
  bool is_hex = end - p >= 2 && *p == '0' && (p[1] | 0x20) == 'x';
  for (p += is_hex ? 2 : 0; p < end; p++) {
    bool is_digit = *p >= '0' && *p <= '9';
    if (!is_digit && !(is_hex && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')) return false;
  }
  return true;
}

/* Is it four numbers, as addresses are written? */
static bool is_quad(const char *host, size_t len) {
  const char *p = host, *end = host + len;
  for (unsigned i = 0; i < 4; i++) {
    unsigned n = 0;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
      if ((n = n * 10 + (unsigned)(*p - '0')) > 255) return false;
    if (p == first || (*first == '0' && p - first > 1)) return false;
    if (i < 3 && (p == end || *p++ != '.')) return false;
  }
  return p == end;
}

bool http_url_is_ipv6(const char *host, size_t len) {
  char text[INET6_ADDRSTRLEN];
  struct in6_addr address;
  const char *zone = memchr(host, '%', len), *end = host + len;
  size_t n = zone ? (size_t)(zone - host) : len;
  if (zone) zone += end - zone >= 3 && !memcmp(zone, "%25", 3) ? 3 : 1;
  if (n >= sizeof text || (zone && zone == end)) return false;
  memcpy(text, host, n);
  text[n] = 0;
  return inet_pton(AF_INET6, text, &address) == 1;
}

bool http_url_is_plain_target(const char *target, size_t len) {
  const char *end = target + len;
  return skip(target, end, IN_TARGET) == end && !http_url_dots(target, end) &&
         !has_dot_segment(target, end);
}

bool http_url_parse(const char *url, size_t len, HttpUrl *parts) {
  const char *p = url, *end = url + len;
  parts->is_https = len > 8 && p[4] == 's';
  size_t scheme = parts->is_https ? 8 : 7;
  if (len <= scheme || memcmp(p, parts->is_https ? "https://" : "http://", scheme)) return false;
  p += scheme;
  parts->is_ipv6 = *p == '[';
  parts->host = parts->is_ipv6 ? ++p : p;
  p = skip(p, end, parts->is_ipv6 ? IN_IPV6 : IN_NAME);
  parts->host_len = (size_t)(p - parts->host);
  if (!parts->host_len || parts->host_len > HTTP_URL_MAX_HOST) return false;
  if (parts->is_ipv6 &&
      (p == end || *p++ != ']' || !http_url_is_ipv6(parts->host, parts->host_len)))
    return false;
  if (!parts->is_ipv6 && http_url_is_number(parts->host, parts->host_len) &&
      !is_quad(parts->host, parts->host_len))
    return false;
  parts->port = parts->is_https ? 443 : 80;
  if (p < end && *p == ':' && !(p = parse_port(p, end, &parts->port))) return false;
  if (p < end && *p != '/' && *p != '?' && *p != '#') return false;
  parts->target = p;
  p = skip(p, end, IN_TARGET);
  parts->target_len = (size_t)(p - parts->target);
  if (has_dot_segment(parts->target, p)) return false;
  if (p < end && *p != '#') return false;
  /* The fragment is shown, but not sent. */
  return p == end || skip(p + 1, end, IN_TARGET) == end;
}
