/* Header lines: which characters they may have, and iteration over checked lines. */
#ifndef ML_HTTP_HEADER_H
#define ML_HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HttpHeader {
  const char *name, *value;
  size_t name_len, value_len;
} HttpHeader;

/* A line from `p` to the CRLF before `line_end`, without the space around its value. */
static inline HttpHeader http_header_split(const char *p, const char *colon, const char *line_end) {
  const char *value = colon + 1, *value_end = line_end - 1;
  while (value < value_end && (*value == ' ' || *value == '\t')) value++;
  while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) value_end--;
  return (HttpHeader){p, value, (size_t)(colon - p), (size_t)(value_end - value)};
}

/* Takes the next header line from the checked lines `*lines[0..*n)`. False at the end. */
bool http_header_next(const char **lines, size_t *n, HttpHeader *header);

/* Compares ASCII ignoring case; `lower` is in lower case. */
bool http_header_is(const char *name, size_t n, const char *lower);

/* Header names are tokens; values have no control characters such as CR, LF and NUL, except tab
   (RFC 9110 section 5.5). */
bool http_header_name_ok(const char *name, size_t n);
bool http_header_value_ok(const char *value, size_t n);

#endif
