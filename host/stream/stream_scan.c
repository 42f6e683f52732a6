#include "stream/stream_scan.h"

#include <string.h>

static StreamLook found(size_t len, size_t used, size_t *len_out, size_t *used_out) {
  *len_out = len;
  *used_out = used;
  return STREAM_FOUND;
}

/* What there is, at the end of the stream. */
static StreamLook rest(size_t n, StreamTail tail, size_t *len, size_t *used) {
  if (tail == STREAM_BROKEN) return STREAM_LOST;
  return n ? found(n, n, len, used) : STREAM_END;
}

static StreamLook scan_line(StreamWant *want, const char *bytes, size_t n, StreamTail tail,
                            size_t *len, size_t *used) {
  size_t from = want->scanned;
  const char *newline = n > from ? memchr(bytes + from, '\n', n - from) : NULL;
  size_t line = newline ? (size_t)(newline - bytes) : n;
  if (line > want->n) return STREAM_LIMIT;
  if (newline) return found(line + (want->format == STREAM_LINE_NL), line + 1, len, used);
  want->scanned = n;
  return tail == STREAM_OPEN ? STREAM_MORE : rest(n, tail, len, used);
}

static StreamLook scan_until(StreamWant *want, const char *bytes, size_t n, StreamTail tail,
                             size_t *len, size_t *used) {
  size_t from = want->scanned, size = want->delimiter_len;
  const char *at = n - from >= size ? memmem(bytes + from, n - from, want->delimiter, size) : NULL;
  size_t whole = at ? (size_t)(at - bytes) + size : n;
  if (whole > want->n) return STREAM_LIMIT;
  if (at) return found(whole, whole, len, used);
  if (n >= size) want->scanned = n - size + 1;
  return tail == STREAM_OPEN ? STREAM_MORE : rest(n, tail, len, used);
}

StreamLook stream_scan(StreamWant *want, const char *bytes, size_t n, StreamTail tail, size_t *len,
                       size_t *used) {
  switch (want->format) {
  case STREAM_LINE:
  case STREAM_LINE_NL:
    return scan_line(want, bytes, n, tail, len, used);
  case STREAM_UNTIL:
    return scan_until(want, bytes, n, tail, len, used);
  case STREAM_COUNT:
    if (n && n >= want->n) return found(want->n, want->n, len, used);
    return tail == STREAM_OPEN ? STREAM_MORE : rest(n, tail, len, used);
  case STREAM_SOME:
    if (n) return found(n < want->n ? n : want->n, n < want->n ? n : want->n, len, used);
    return tail == STREAM_OPEN ? STREAM_MORE : rest(n, tail, len, used);
  case STREAM_ALL:
    if (tail == STREAM_ENDED) return found(n, n, len, used);
    return tail == STREAM_OPEN ? STREAM_MORE : STREAM_LOST;
  }
  return STREAM_MORE;
}
