#include "http_header.h"

#include <string.h>

bool http_name_is(const char *name, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
    if (c != lower[i] || !c) return false; /* also at the end of a shorter `lower` */
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
