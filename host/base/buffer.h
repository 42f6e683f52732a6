/* A growing byte buffer, used everywhere in the host to build text and messages. */
#ifndef ML_BUFFER_H
#define ML_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The capacity of a buffer that has grown is a multiple of this. */
#define BUFFER_GRAIN 64

/* `data[0..len)` is the content. All zero is an empty buffer that owns nothing. */
typedef struct Buffer {
  char *data;
  size_t len, cap;
} Buffer;

/* Makes room for `extra` more bytes. False when memory is out; the content stays as it was. */
bool buffer_grow(Buffer *b, size_t extra);

/* Frees the memory; the buffer is empty and may be used again. */
void buffer_free(Buffer *b);

/* Ensures room for `extra` more bytes after `data + len`; false if memory is out. */
static inline bool buffer_reserve(Buffer *b, size_t extra) {
  return b->cap - b->len >= extra || buffer_grow(b, extra);
}

/* Appends `n` bytes. False when memory is out: nothing was appended. */
static inline bool buffer_add(Buffer *b, const void *bytes, size_t n) {
  if (!buffer_reserve(b, n)) return false;
  if (n) memcpy(b->data + b->len, bytes, n);
  b->len += n;
  return true;
}

/* Appends one byte. False when memory is out. */
static inline bool buffer_add_char(Buffer *b, char c) {
  if (!buffer_reserve(b, 1)) return false;
  b->data[b->len++] = c;
  return true;
}

/* Appends formatted text (printf's rules). False when memory is out. */
bool buffer_printf(Buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
