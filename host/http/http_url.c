#include "http/http_url.h"

#include <string.h>

/* Which characters are allowed where; RFC 3986 allows fewer in the target, browsers allow the
   same. */
enum { IN_NAME = 1, IN_TARGET = 2, IN_IPV6 = 4 };
#define EVERYWHERE (IN_TARGET | IN_NAME | IN_IPV6)
static const uint8_t byte_class[256] = {
    ['!' ... '"'] = IN_TARGET,  ['$'] = IN_TARGET,           ['%'] = IN_TARGET | IN_IPV6,
    ['&' ... ','] = IN_TARGET,  ['-' ... '.'] = EVERYWHERE,  ['/'] = IN_TARGET,
    ['0' ... '9'] = EVERYWHERE, [':'] = IN_TARGET | IN_IPV6, [';' ... '@'] = IN_TARGET,
    ['A' ... 'Z'] = EVERYWHERE, ['[' ... '^'] = IN_TARGET,   ['_'] = EVERYWHERE,
    ['`'] = IN_TARGET,          ['a' ... 'z'] = EVERYWHERE,  ['{' ... '~'] = IN_TARGET,
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

static bool begins_with_dot(const char *p, const char *end) {
  return end - p > 0 && (*p == '.' || (*p == '%' && end - p > 1 && p[1] == '2'));
}

/* Is a segment of the path "." or ".." (possibly with an encoded dot)? May be true for some others,
   too. */
static bool has_dot_segment(const char *p, const char *end) {
  for (; p < end && *p != '?'; p++)
    if (*p == '/' && begins_with_dot(p + 1, end)) return true;
  return false;
}

bool http_url_is_plain_target(const char *target, size_t len) {
  const char *end = target + len;
  return skip(target, end, IN_TARGET) == end && !begins_with_dot(target, end) &&
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
  if (parts->is_ipv6 && (p == end || *p++ != ']')) return false;
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
