#include "redis/redis_command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LONGEST_HEAD = 24 }; /* "$", 20 digits, "\r\n" */

/* Writes TYPE NUMBER "\r\n" to `to`; returns where it ends. */
static char *put_head(char *to, char type, uint64_t n) {
  char digits[20];
  int k = 0;
  *to++ = type;
  if (n < 10) {
    memcpy(to, (char[]){(char)('0' + n), '\r', '\n'}, 3);
    return to + 3;
  }
  do digits[k++] = (char)('0' + n % 10);
  while (n /= 10);
  while (k) *to++ = digits[--k];
  *to++ = '\r';
  *to++ = '\n';
  return to;
}

bool redis_command_begin(Buffer *b, size_t n) {
  if (!buffer_reserve(b, LONGEST_HEAD)) return false;
  b->len = (size_t)(put_head(b->data + b->len, '*', n) - b->data);
  return true;
}

bool redis_command_add(Buffer *b, const char *bytes, size_t n) {
  if (n > SIZE_MAX / 2 || !buffer_reserve(b, LONGEST_HEAD + n + 2)) return false;
  char *to = put_head(b->data + b->len, '$', n);
  memcpy(to, bytes, n);
  to += n;
  *to++ = '\r';
  *to++ = '\n';
  b->len = (size_t)(to - b->data);
  return true;
}

bool redis_command_add_integer(Buffer *b, int64_t value) {
  char text[24];
  return redis_command_add(b, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

bool redis_command_add_double(Buffer *b, double value) {
  char text[40];
  int n;
  if (isinf(value)) return redis_command_add(b, value < 0 ? "-inf" : "inf", value < 0 ? 4 : 3);
  for (int digits = 15;; digits++) {
    n = snprintf(text, sizeof text, "%.*g", digits, value);
    if (digits == 17 || strtod(text, NULL) == value) break;
  }
  for (char *p = text; *p; p++)
    if (*p == ',') *p = '.'; /* from a locale */
  return redis_command_add(b, text, (size_t)n);
}
