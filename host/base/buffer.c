#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool buffer_grow(Buffer *b, size_t extra) {
  if (extra > SIZE_MAX / 2 - b->len) return false;
  size_t need = b->len + extra, cap = b->cap ? b->cap * 2 : 256;
  if (cap < need) cap = need;
  cap = (cap + BUFFER_GRAIN - 1) / BUFFER_GRAIN * BUFFER_GRAIN;
  char *data = realloc(b->data, cap);
  if (!data) return false;
  b->data = data;
  b->cap = cap;
  return true;
}

void buffer_free(Buffer *b) {
  free(b->data);
  *b = (Buffer){0};
}

bool buffer_printf(Buffer *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n < 0 || !buffer_reserve(b, (size_t)n + 1)) return false;
  va_start(args, format);
  vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
  va_end(args);
  b->len += (size_t)n;
  return true;
}
