#include "http/http_url_mend.h"

#include "base/url.h"
#include "http/http_url.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool has_control(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)p[i] < ' ' || p[i] == 0x7f) return true;
  return false;
}

/* The length of the scheme before "://", or 0. */
static size_t scheme_length(const char *url, size_t len) {
  size_t n = 0;
  while (n < len && (is_letter(url[n]) || (n && (is_digit(url[n]) || memchr("+-.", url[n], 3)))))
    n++;
  return n && len - n >= 3 && !memcmp(url + n, "://", 3) ? n : 0;
}

/* Writes the text decoded; a '%' without two digits stands for itself. Returns its end. */
static char *put_decoded(char *out, const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (text[i] == '%' && n - i >= 3 && url_percent_ok(text + i, 3)) {
      url_decode(out++, (const char[]){text[i], text[i + 1], text[i + 2]}, 3, false);
      i += 2;
    } else {
      *out++ = text[i];
    }
  }
  return out;
}

static const char *read_user(const char *user, size_t n, HttpUrlMend *m) {
  if (!n) return NULL;
  if (memchr(user, '@', n)) return "its user or password has an '@', which is written as %40";
  const char *colon = memchr(user, ':', n);
  size_t name = colon ? (size_t)(colon - user) : n;
  char *end = put_decoded(m->credentials, user, name);
  if (memchr(m->credentials, ':', (size_t)(end - m->credentials)))
    return "its user has a ':', which Basic authentication cannot carry";
  *end++ = ':';
  if (colon) end = put_decoded(end, colon + 1, n - name - 1);
  m->credentials_len = (size_t)(end - m->credentials);
  return has_control(m->credentials, m->credentials_len)
             ? "its user or password has a control character"
             : NULL;
}

static void put(HttpUrlMend *m, const char *text, size_t n) {
  if (n) memcpy(m->text + m->text_len, text, n);
  m->text_len += n;
}

static const char *put_name(HttpUrlMend *m, const char *host, size_t n) {
  char *first = m->text + m->text_len;
  size_t len = (size_t)(put_decoded(first, host, n) - first);
  if (!len) return "it has no host";
  if (len > HTTP_URL_MAX_HOST) return "its host has more than 255 characters";
  for (size_t i = 0; i < len; i++) /* a decoded '/' would end it */
    if (!is_letter(first[i]) && !is_digit(first[i]) && !memchr("-._", first[i], 3))
      return "its host is not valid";
  m->text_len += len;
  if (!http_url_is_number(first, len)) return NULL;
  char text[HTTP_URL_MAX_HOST + 1];
  struct in_addr address;
  memcpy(text, first, len);
  text[first[len - 1] == '.' ? len - 1 : len] = 0;
  if (!inet_aton(text, &address)) return "its host ends in a number, but is not an address";
  m->text_len -= len;
  inet_ntop(AF_INET, &address, text, sizeof text);
  put(m, text, strlen(text));
  return NULL;
}

/* `port[0..n)`: ":80", ":" or nothing. */
static const char *put_port(HttpUrlMend *m, const char *port, size_t n) {
  if (n <= 1) return NULL;
  unsigned long number = 0;
  for (size_t i = 1; i < n; i++) {
    if (!is_digit(port[i])) return "its port is not a number";
    if (number <= 65535) number = number * 10 + (unsigned long)(port[i] - '0');
  }
  if (number < 1 || number > 65535) return "its port is not between 1 and 65535";
  char text[8];
  put(m, text, (size_t)snprintf(text, sizeof text, ":%u", (unsigned)(uint16_t)number));
  return NULL;
}

/* The host and port, which are behind the user. */
static const char *put_place(HttpUrlMend *m, const char *place, size_t n) {
  const char *wrong = NULL;
  size_t host;
  if (n && *place == '[') {
    const char *bracket = memchr(place, ']', n);
    if (!bracket) return "its host has a '[' without a ']'";
    host = (size_t)(bracket - place) + 1;
    if (host < n && place[host] != ':') return "its host is not valid";
    if (!http_url_is_ipv6(place + 1, host - 2))
      return "its host in brackets is not an address of IPv6";
    put(m, place, host);
  } else {
    const char *colon = memchr(place, ':', n);
    host = colon ? (size_t)(colon - place) : n;
    wrong = put_name(m, place, host);
  }
  return wrong ? wrong : put_port(m, place + host, n - host);
}

static void put_encoded(HttpUrlMend *m, const char *text, size_t n) {
  static const char digits[] = "0123456789ABCDEF";
  char *out = m->text + m->text_len;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c > ' ' && c < 0x7f && c != '#' && c != '\\') {
      *out++ = (char)c;
    } else {
      *out++ = '%';
      *out++ = digits[c >> 4];
      *out++ = digits[c & 15];
    }
  }
  m->text_len = (size_t)(out - m->text);
}

/* A path that is empty or begins with '/', without dot segments (RFC 3986 section 5.2.4). */
static void put_path(HttpUrlMend *m, const char *p, const char *end) {
  size_t from = m->text_len;
  while (p < end) {
    const char *segment = ++p;
    p = memchr(segment, '/', (size_t)(end - segment));
    if (!p) p = end;
    size_t dots = http_url_dots(segment, p);
    if (!dots) {
      put(m, "/", 1);
      put_encoded(m, segment, (size_t)(p - segment));
      continue;
    }
    if (dots == 2 && m->text_len > from)
      while (m->text[--m->text_len] != '/') {
      }
    if (p == end) put(m, "/", 1);
  }
}

const char *http_url_mend(const char *url, size_t len, char *memory, HttpUrlMend *m) {
  *m = (HttpUrlMend){.text = memory, .credentials = memory + HTTP_URL_MEND_SIZE(len) - len - 1};
  size_t scheme = scheme_length(url, len);
  if (!scheme) return "it does not begin with http:// or https://";
  bool is_https = scheme == 5 && !strncasecmp(url, "https", 5);
  if (!is_https && (scheme != 4 || strncasecmp(url, "http", 4) != 0)) {
    m->scheme_len = scheme;
    return "its scheme is neither http nor https";
  }
  if (has_control(url, len)) return "it has a control character";
  if (url[len - 1] == ' ') return "it ends in a blank"; /* which some would leave out */
  const char *end = url + len, *authority = url + scheme + 3, *path = authority, *query, *fragment;
  while (path < end && !memchr("/?#", *path, 3)) path++;
  for (query = path; query < end && *query != '?' && *query != '#';) query++;
  for (fragment = query; fragment < end && *fragment != '#';) fragment++;
  /* Browsers read it as '/', others as a part of the user, the host or the path. */
  if (memchr(authority, '\\', (size_t)(query - authority)))
    return "it has a backslash, which is written as / or %5C";
  const char *at = memrchr(authority, '@', (size_t)(path - authority));
  const char *place = at ? at + 1 : authority, *wrong = NULL;
  put(m, is_https ? "https://" : "http://", is_https ? 8 : 7);
  if (at) wrong = read_user(authority, (size_t)(at - authority), m);
  if (!wrong) wrong = put_place(m, place, (size_t)(path - place));
  if (wrong) return wrong;
  put_path(m, path, query);
  if (query < fragment) {
    put(m, "?", 1);
    put_encoded(m, query + 1, (size_t)(fragment - query) - 1);
  }
  if (fragment < end) {
    put(m, "#", 1);
    put_encoded(m, fragment + 1, (size_t)(end - fragment) - 1);
  }
  HttpUrl parts;
  return http_url_parse(m->text, m->text_len, &parts) ? NULL : "its host is not valid";
}
