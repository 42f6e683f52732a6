/* Header lines that have been checked, one after the other. */
#ifndef ML_HTTP_HEADER_H
#define ML_HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HttpHeader {
  const char *name, *value;
  size_t name_len, value_len;
} HttpHeader;

/* A line from `p` to the CRLF before `line_end`, without the space round its value. */
static inline HttpHeader http_header_split(const char *p, const char *colon, const char *line_end) {
  const char *value = colon + 1, *value_end = line_end - 1;
  while (value < value_end && (*value == ' ' || *value == '\t')) value++;
  while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) value_end--;
  return (HttpHeader){p, value, (size_t)(colon - p), (size_t)(value_end - value)};
}

/* Takes the next header line off the checked lines `*lines[0..*n)`. False at the end. */
bool http_header_next(const char **lines, size_t *n, HttpHeader *header);

/* Compares ASCII without regard to case; `lower` is in lower case. */
bool http_name_is(const char *name, size_t n, const char *lower);

#endif
