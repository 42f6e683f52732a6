#include "http/server/http2_reply.h"

#include "base/word.h"
#include "http/http_header.h"
#include <string.h>

#define LITERAL(text) (text), sizeof(text) - 1

enum {
  STATUS_AT = sizeof "HTTP/1.1 " - 1,
  LEAST_HEAD = sizeof "HTTP/1.1 200 OK\r\n\r\n" - 1,
  /* Our own chunks have no extensions or trailers. */
  MAX_FRAMING = 1024
};

static void add_field(Http2Fields *f, char *name, size_t name_len, const char *value,
                      size_t value_len) {
  f->list[f->n++] = (nghttp2_nv){.name = (uint8_t *)name,
                                 .namelen = name_len,
                                 .value = (uint8_t *)(uintptr_t)value,
                                 .valuelen = value_len};
}

/* Eight bytes, with capital letters made small. */
static uint64_t lower_word(uint64_t w) {
  uint64_t low = w & ~WORD_TOPS;
  uint64_t from_a = low + WORD_ONES * (0x80 - 'A'), after_z = low + WORD_ONES * (0x7f - 'Z');
  return w | ((from_a ^ after_z) & ~w & WORD_TOPS) >> 2;
}

/* Writes the name in lower case (RFC 9113 section 8.2.1). */
static char *lower(Http2Fields *f, const char *name, size_t n) {
  char *to = f->names + f->names_len;
  size_t i = 0;
  for (; n - i >= 8; i += 8) {
    uint64_t w;
    memcpy(&w, name + i, 8);
    w = lower_word(w);
    memcpy(to + i, &w, 8);
  }
  if (i < n) {
    uint64_t w = 0;
    memcpy(&w, name + i, n - i);
    w = lower_word(w);
    memcpy(to + i, &w, 8);
  }
  return to;
}

#define IS(name, literal) (!memcmp(name, literal, sizeof(literal) - 1))

/* A field of one connection (section 8.2.2) is not sent on; those of framing are taken note of. */
static bool is_taken(Http2Reply *r, const char *name, const HttpHeader *h) {
  switch (h->name_len) {
  case 7:
    return IS(name, "upgrade");
  case 10:
    return IS(name, "connection") || IS(name, "keep-alive");
  case 14:
    if (!IS(name, "content-length")) return false;
    r->state = HTTP2_REPLY_LENGTH;
    r->left = 0;
    for (size_t i = 0; i < h->value_len; i++)
      r->left = r->left * 10 + (unsigned)(h->value[i] - '0');
    return false;
  case 16:
    return IS(name, "proxy-connection");
  case 17:
    if (!IS(name, "transfer-encoding")) return false;
    r->state = HTTP2_REPLY_CHUNKED;
    http_chunks_open(&r->chunks, MAX_FRAMING, 0);
    return true;
  }
  return false;
}

/* The start of the line after the one at `p`, or NULL. */
static const char *next_line(const char *p, const char *end) {
  const char *line = memchr(p, '\n', (size_t)(end - p));
  return line ? line + 1 : NULL;
}

static size_t read_head(Http2Reply *r, const char *bytes, size_t n, Http2Fields *f) {
  const char *end = bytes + n, *status = bytes + STATUS_AT, *next;
  if (n < LEAST_HEAD) return 0;
  f->n = f->names_len = 0;
  f->status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + status[2] - '0';
  add_field(f, ":status", 7, status, 3);
  r->state = HTTP2_REPLY_OVER;
  const char *line = next_line(bytes, end);
  for (; line && line < end && *line != '\r'; line = next) {
    next = next_line(line, end);
    const char *colon = next ? memchr(line, ':', (size_t)(next - line)) : NULL;
    if (!colon) return 0;
    HttpHeader h = http_header_split(line, colon, next - 1);
    if (f->names_len + h.name_len > HTTP2_REPLY_NAMES) return 0;
    char *name = lower(f, h.name, h.name_len);
    if (is_taken(r, name, &h)) continue;
    if (f->n == HTTP2_REPLY_FIELDS) return 0;
    f->names_len += h.name_len;
    add_field(f, name, h.name_len, h.value, h.value_len);
  }
  if (!line || end - line < 2) return 0;
  if (f->status < 200)
    r->state = HTTP2_REPLY_HEAD;
  else if (r->is_head || f->status == 204 || f->status == 304 ||
           (r->state == HTTP2_REPLY_LENGTH && !r->left))
    r->state = HTTP2_REPLY_OVER;
  return (size_t)(line + 2 - bytes);
}

size_t http2_reply_head(Http2Reply *r, const char *bytes, size_t n, Http2Fields *f) {
  size_t taken = read_head(r, bytes, n, f);
  if (!taken) r->state = HTTP2_REPLY_HEAD; /* not over: nobody may take it for sent */
  return taken;
}

void http2_reply_lend(Http2Fields *f) {
  for (size_t i = 0; i < f->n; i++)
    f->list[i].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
}

static size_t take_chunked(Http2Reply *r, const char **p, const char *end, char *to, size_t n) {
  size_t taken = 0, len;
  const char *data;
  while (*p < end && taken < n) {
    /* What is read is never longer than what it is read from. */
    const char *until = (size_t)(end - *p) > n - taken ? *p + (n - taken) : end;
    switch (http_chunks_read(&r->chunks, p, until, &data, &len)) {
    case HTTP_CHUNKS_DATA:
      memcpy(to + taken, data, len);
      taken += len;
      break;
    case HTTP_CHUNKS_MORE:
      break;
    default:
      r->state = HTTP2_REPLY_OVER;
      return taken;
    }
  }
  return taken;
}

size_t http2_reply_body(Http2Reply *r, const char **p, const char *end, char *to, size_t n) {
  if (r->state == HTTP2_REPLY_CHUNKED) return take_chunked(r, p, end, to, n);
  if (r->state != HTTP2_REPLY_LENGTH) return 0;
  if (n > r->left) n = (size_t)r->left;
  if (n > (size_t)(end - *p)) n = (size_t)(end - *p);
  if (n) memcpy(to, *p, n);
  *p += n;
  r->left -= n;
  if (!r->left) r->state = HTTP2_REPLY_OVER;
  return n;
}
