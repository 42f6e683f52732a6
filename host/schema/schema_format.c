#include "schema/schema_format.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_alpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

bool schema_format_is_ip(const char *s, size_t size, int family) {
  char text[64];
  unsigned char address[16];
  if (size == 0 || size >= sizeof text || memchr(s, 0, size)) return false;
  memcpy(text, s, size);
  text[size] = 0;
  return inet_pton(family, text, address) == 1;
}

bool schema_format_is_hostname(const char *s, size_t size) {
  if (size == 0 || size > 253) return false;
  for (size_t at = 0; at <= size;) {
    const char *dot = memchr(s + at, '.', size - at);
    const char *label = s + at;
    size_t n = dot ? (size_t)(dot - label) : size - at;
    if (n == 0 || n > 63 || label[0] == '-' || label[n - 1] == '-') return false;
    for (size_t i = 0; i < n; i++)
      if (!is_alpha(label[i]) && !is_digit(label[i]) && label[i] != '-') return false;
    /* RFC 5891: "--" as third and fourth is for A-labels, whose prefix is xn. */
    if (n >= 4 && label[2] == '-' && label[3] == '-' &&
        !((label[0] | 0x20) == 'x' && (label[1] | 0x20) == 'n' && n > 4))
      return false;
    at += n + 1;
  }
  return true;
}

static bool is_quoted_local(const char *s, size_t size) {
  if (size < 3 || s[0] != '"' || s[size - 1] != '"') return false;
  for (size_t i = 1; i + 1 < size; i++) {
    if (s[i] == '"') return false;
    if (s[i] == '\\' && ++i + 1 >= size) return false;
    if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] > 0x7E) return false;
  }
  return true;
}

static bool is_dotted_local(const char *s, size_t size) {
  if (size == 0 || s[0] == '.' || s[size - 1] == '.') return false;
  for (size_t i = 0; i < size; i++) {
    if (s[i] == '.'
            ? s[i + 1] == '.'
            : !s[i] || (!is_alpha(s[i]) && !is_digit(s[i]) && !strchr("!#$%&'*+-/=?^_`{|}~", s[i])))
      return false;
  }
  return true;
}

bool schema_format_is_email(const char *s, size_t size) {
  const char *at = size ? memrchr(s, '@', size) : NULL;
  if (!at || size > 320) return false;
  size_t local = (size_t)(at - s), n = size - local - 1;
  if (local > 64 || (!is_dotted_local(s, local) && !is_quoted_local(s, local))) return false;
  const char *domain = at + 1;
  if (n > 2 && domain[0] == '[' && domain[n - 1] == ']') {
    if (n > 7 && strncasecmp(domain, "[IPv6:", 6) == 0)
      return schema_format_is_ip(domain + 6, n - 7, AF_INET6);
    return schema_format_is_ip(domain + 1, n - 2, AF_INET);
  }
  return schema_format_is_hostname(domain, n);
}

/* Are all bytes what RFC 3986 allows in a part: unreserved, sub-delims, the `others`, and escapes?
 */
static bool is_part(const char *s, const char *end, const char *others) {
  for (; s < end; s++) {
    if (*s == '%') {
      if (end - s < 3 || !is_hex(s[1]) || !is_hex(s[2])) return false;
      s += 2;
    } else if (!is_alpha(*s) && !is_digit(*s) &&
               (!*s || (!strchr("-._~!$&'()*+,;=", *s) && !strchr(others, *s)))) {
      return false;
    }
  }
  return true;
}

static bool is_authority(const char *s, const char *end) {
  const char *at = memrchr(s, '@', (size_t)(end - s));
  if (at) {
    if (!is_part(s, at, ":")) return false;
    s = at + 1;
  }
  const char *port;
  if (s < end && *s == '[') {
    const char *close = memchr(s, ']', (size_t)(end - s));
    if (!close) return false;
    if (s + 1 < close && (s[1] | 0x20) == 'v') {
      const char *p = s + 2;
      while (p < close && is_hex(*p)) p++;
      if (p == s + 2 || p >= close - 1 || *p != '.' || !is_part(p + 1, close, ":")) return false;
    } else if (!schema_format_is_ip(s + 1, (size_t)(close - s - 1), AF_INET6)) {
      return false;
    }
    port = close + 1;
    if (port < end && *port != ':') return false;
  } else {
    port = memchr(s, ':', (size_t)(end - s));
    if (!port) port = end;
    if (!is_part(s, port, "")) return false;
  }
  for (const char *p = port + 1; p < end; p++)
    if (!is_digit(*p)) return false;
  return true;
}

bool schema_format_is_uri(const char *s, size_t size, bool is_reference) {
  const char *end = s + size, *p = s, *q;
  bool has_scheme = false;
  if (size && is_alpha(*s)) {
    while (p < end && (is_alpha(*p) || is_digit(*p) || strchr("+-.", *p)) && *p) p++;
    has_scheme = p < end && *p == ':';
  }
  if (!has_scheme && !is_reference) return false;
  p = has_scheme ? p + 1 : s;
  const char *fragment = memchr(p, '#', (size_t)(end - p));
  if (fragment && !is_part(fragment + 1, end, ":@/?")) return false;
  if (fragment) end = fragment;
  const char *query = memchr(p, '?', (size_t)(end - p));
  if (query && !is_part(query + 1, end, ":@/?")) return false;
  if (query) end = query;
  if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
    q = memchr(p + 2, '/', (size_t)(end - p - 2));
    if (!q) q = end;
    return is_authority(p + 2, q) && is_part(q, end, ":@/");
  }
  if (!has_scheme) { /* its first segment has no colon, or it would be a scheme */
    q = memchr(p, '/', (size_t)(end - p));
    if (memchr(p, ':', (size_t)((q ? q : end) - p))) return false;
  }
  return is_part(p, end, ":@/");
}

static const char OTHER_SCHEME[] = "'http' or 'https'";

static const char *url_fault(const char *s, size_t size) {
  size_t scheme = 0;
  if (size >= 7 && strncasecmp(s, "http://", 7) == 0) scheme = 7;
  if (size >= 8 && strncasecmp(s, "https://", 8) == 0) scheme = 8;
  if (size == 0) return "input is empty";
  if (!schema_format_is_uri(s, size, false))
    return memchr(s, ':', size) ? "it has characters that must be escaped, or is cut off"
                                : "relative URL without a base";
  if (!scheme) return OTHER_SCHEME;
  return size == scheme || strchr("/?#", s[scheme]) ? "empty host" : NULL;
}

static bool is_uuid(const char *s, size_t size) {
  if (size != 36) return false;
  for (size_t i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? s[i] != '-' : !is_hex(s[i])) return false;
  }
  return true;
}

static bool is_json_pointer(const char *s, size_t size) {
  if (size && s[0] != '/') return false;
  for (size_t i = 0; i < size; i++)
    if (s[i] == '~' && (i + 1 == size || (s[i + 1] != '0' && s[i + 1] != '1'))) return false;
  return true;
}

SchemaFormat schema_format_named(const char *name) {
  static const char *const names[SCHEMA_FORMATS] = {
      [SCHEMA_FORMAT_DATETIME] = "date-time",
      [SCHEMA_FORMAT_DATE] = "date",
      [SCHEMA_FORMAT_TIME] = "time",
      [SCHEMA_FORMAT_DURATION] = "duration",
      [SCHEMA_FORMAT_EMAIL] = "email",
      [SCHEMA_FORMAT_HOSTNAME] = "hostname",
      [SCHEMA_FORMAT_IPV4] = "ipv4",
      [SCHEMA_FORMAT_IPV6] = "ipv6",
      [SCHEMA_FORMAT_IP] = "ip",
      [SCHEMA_FORMAT_URI] = "uri",
      [SCHEMA_FORMAT_URI_REFERENCE] = "uri-reference",
      [SCHEMA_FORMAT_URL] = "url",
      [SCHEMA_FORMAT_UUID] = "uuid",
      [SCHEMA_FORMAT_JSON_POINTER] = "json-pointer",
  };
  for (int i = 0; i < SCHEMA_FORMATS; i++)
    if (names[i] && strcmp(names[i], name) == 0) return (SchemaFormat)i;
  return SCHEMA_FORMAT_NONE;
}

const char *schema_format_check(SchemaFormat format, const char *s, size_t size,
                                const char **detail) {
  bool v4 = false;
  switch (format) {
  case SCHEMA_FORMAT_DATETIME:
    *detail = schema_format_time_fault(format, s, size);
    if (*detail == schema_format_no_zone) return "timezone_aware";
    return *detail ? "datetime_from_date_parsing" : NULL;
  case SCHEMA_FORMAT_DATE:
    *detail = schema_format_time_fault(format, s, size);
    return *detail ? "date_from_datetime_parsing" : NULL;
  case SCHEMA_FORMAT_TIME:
    *detail = schema_format_time_fault(format, s, size);
    if (*detail == schema_format_no_zone) return "timezone_aware";
    return *detail ? "time_parsing" : NULL;
  case SCHEMA_FORMAT_DURATION:
    *detail = schema_format_duration_fault(s, size);
    return *detail ? "time_delta_parsing" : NULL;
  case SCHEMA_FORMAT_URL:
    *detail = url_fault(s, size);
    if (*detail == OTHER_SCHEME) return "url_scheme";
    return *detail ? "url_parsing" : NULL;
  case SCHEMA_FORMAT_UUID:
    *detail = "32 hexadecimal digits with dashes after the 8th, 12th, 16th and 20th expected";
    return is_uuid(s, size) ? NULL : "uuid_parsing";
  case SCHEMA_FORMAT_EMAIL:
    *detail = size && memchr(s, '@', size)
                  ? "value is not a valid email address: It is malformed."
                  : "value is not a valid email address: An email address must have an @-sign.";
    return schema_format_is_email(s, size) ? NULL : "value_error";
  case SCHEMA_FORMAT_IP:
    return schema_format_is_ip(s, size, AF_INET) || schema_format_is_ip(s, size, AF_INET6)
               ? NULL
               : "ip_any_address";
  case SCHEMA_FORMAT_IPV4:
    v4 = true; /* and on */
    __attribute__((fallthrough));
  case SCHEMA_FORMAT_IPV6:
    *detail = v4 ? "value is not a valid IPv4 address" : "value is not a valid IPv6 address";
    return schema_format_is_ip(s, size, v4 ? AF_INET : AF_INET6) ? NULL : "value_error";
  case SCHEMA_FORMAT_HOSTNAME:
    *detail = "value is not a valid host name";
    return schema_format_is_hostname(s, size) ? NULL : "value_error";
  case SCHEMA_FORMAT_URI:
    *detail = "value is not a valid URI";
    return schema_format_is_uri(s, size, false) ? NULL : "value_error";
  case SCHEMA_FORMAT_URI_REFERENCE:
    *detail = "value is not a valid reference to a URI";
    return schema_format_is_uri(s, size, true) ? NULL : "value_error";
  case SCHEMA_FORMAT_JSON_POINTER:
    *detail = "value is not a valid JSON pointer";
    return is_json_pointer(s, size) ? NULL : "value_error";
  default:
    return NULL;
  }
}
