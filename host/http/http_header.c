#include "http/http_header.h"

#include <string.h>

bool http_header_is(const char *name, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
    if (c != lower[i] || !c) return false; /* stops at the end of a shorter `lower`, too */
  }
  return lower[n] == 0;
}

bool http_header_next(const char **lines, size_t *n, HttpHeader *header) {
  if (!*n) return false;
  const char *p = *lines, *end = p + *n;
  const char *colon = memchr(p, ':', *n);
  const char *line_end = memchr(colon, '\n', (size_t)(end - colon));
  *header = http_header_split(p, colon, line_end);
  *lines = line_end + 1;
  *n = (size_t)(end - line_end - 1);
  return true;
}

bool http_header_name_ok(const char *name, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)name[i];
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) return false;
  }
  return n > 0;
}

bool http_header_value_ok(const char *value, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)value[i];
    if ((c < ' ' && c != '\t') || c == 0x7f) return false;
  }
  return true;
}
