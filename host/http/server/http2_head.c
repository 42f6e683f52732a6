#include "http/server/http2_head.h"

#include "base/word.h"
#include "http/http_header.h"

/* Lines of each request that its client has not sent. */
#define CLOSE "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

#define LITERAL(text) (text), sizeof(text) - 1

enum {
  FAR_BEYOND = 4, /* times the limit: from there on, it is no mistake */
  KEPT = 1024     /* bytes of a buffer that is used again */
};

/* Bytes of a field's name: tokens without capitals (sections 8.2 and 8.2.1). */
static const bool is_name[256] = {
    ['a' ... 'z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true, ['$'] = true,
    ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true, ['+'] = true,
    ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true, ['`'] = true,
    ['|'] = true,         ['~'] = true,
};

static bool name_ok(const char *name, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!is_name[(unsigned char)name[i]]) return false;
  return n > 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static bool value_ok(const char *value, size_t n) {
  if (n && (is_blank(value[0]) || is_blank(value[n - 1]))) return false;
  if (n < 8) return http_header_value_ok(value, n);
  uint64_t controls = 0;
  for (size_t i = 0;; i = n - i < 16 ? n - 8 : i + 8) { /* the last eight may be seen twice */
    uint64_t w = word_load(value + i), del = w ^ WORD_ONES * 0x7f;
    controls |= ((w - WORD_ONES * ' ') & ~w) | ((del - WORD_ONES) & ~del);
    if (i == n - 8) break;
  }
  return !(controls & WORD_TOPS) || http_header_value_ok(value, n); /* or there are tabs */
}

/* No blank, no control character: it is a word of the request line. */
static bool word_ok(const char *word, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)word[i] <= ' ' || word[i] == 0x7f) return false;
  return n > 0;
}

static bool is(const char *text, size_t n, const char *other, size_t other_len) {
  return n == other_len && !memcmp(text, other, n);
}
#define IS(text, n, literal) is(text, n, LITERAL(literal))

void http2_head_begin(Http2Head *h, size_t max) {
  h->method.len = h->path.len = h->authority.len = h->cookies.len = h->total = 0;
  h->max = max;
  h->has_line = h->has_length = h->is_head = false;
}

static void trim(Buffer *b) {
  if (b->cap > KEPT) buffer_free(b);
}

void http2_head_done(Http2Head *h) {
  trim(&h->method);
  trim(&h->path);
  trim(&h->authority);
  trim(&h->cookies);
}

size_t http2_head_size(const Http2Head *h) {
  return h->method.cap + h->path.cap + h->authority.cap + h->cookies.cap;
}

void http2_head_free(Http2Head *h) {
  buffer_free(&h->method);
  buffer_free(&h->path);
  buffer_free(&h->authority);
  buffer_free(&h->cookies);
}

static Http2Field kept(bool ok) { return ok ? HTTP2_FIELD_OK : HTTP2_FIELD_NO_MEMORY; }

/* Section 8.3.1. */
static Http2Field add_pseudo(Http2Head *h, const char *name, size_t n, const char *value,
                             size_t value_len) {
  Buffer *to;
  if (h->has_line || !word_ok(value, value_len)) return HTTP2_FIELD_BAD;
  if (IS(name, n, ":method")) {
    to = &h->method;
    h->is_head = IS(value, value_len, "HEAD");
    if (!http_header_name_ok(value, value_len)) return HTTP2_FIELD_BAD;
  } else if (IS(name, n, ":path")) {
    to = &h->path;
    if (*value != '/' && !IS(value, value_len, "*")) return HTTP2_FIELD_BAD;
  } else if (IS(name, n, ":authority")) {
    to = &h->authority;
  } else {
    return IS(name, n, ":scheme") ? HTTP2_FIELD_OK : HTTP2_FIELD_BAD;
  }
  if (to->len) return HTTP2_FIELD_BAD;
  return kept(buffer_add(to, value, value_len < h->max ? value_len : h->max));
}

/* Writes where there is room. Returns the place after it. */
static inline char *put(char *to, const char *bytes, size_t n) {
  if (n) memcpy(to, bytes, n);
  return to + n;
}

/* METHOD TARGET HTTP/1.1 and the Host. */
static Http2Field put_line(Http2Head *h, Buffer *out) {
  const Buffer *target = IS(h->method.data, h->method.len, "CONNECT") ? &h->authority : &h->path;
  h->has_line = true;
  if (!h->method.len || !target->len) return HTTP2_FIELD_BAD;
  if (!buffer_reserve(out, h->method.len + target->len + h->authority.len +
                               sizeof "  HTTP/1.1\r\nHost: \r\n"))
    return HTTP2_FIELD_NO_MEMORY;
  char *to = out->data + out->len;
  to = put(to, h->method.data, h->method.len);
  *to++ = ' ';
  to = put(put(to, target->data, target->len), LITERAL(" HTTP/1.1\r\n"));
  if (h->authority.len) {
    to = put(put(to, LITERAL("Host: ")), h->authority.data, h->authority.len);
    to = put(to, LITERAL("\r\n"));
  }
  out->len = (size_t)(to - out->data);
  return HTTP2_FIELD_OK;
}

/* Fields of one connection (section 8.2.2). */
static bool is_of_connection(const char *name, size_t n, const char *value, size_t value_len) {
  switch (n) {
  case 2:
    return IS(name, 2, "te") && !IS(value, value_len, "trailers");
  case 7:
    return IS(name, 7, "upgrade");
  case 10:
    return IS(name, 10, "connection") || IS(name, 10, "keep-alive");
  case 16:
    return IS(name, 16, "proxy-connection");
  case 17:
    return IS(name, 17, "transfer-encoding");
  default:
    return false;
  }
}

/* A cookie may be split into several fields (section 8.2.3). */
static Http2Field add_cookie(Http2Head *h, const char *value, size_t n) {
  return kept((!h->cookies.len || buffer_add(&h->cookies, LITERAL("; "))) &&
              buffer_add(&h->cookies, value, n));
}

Http2Field http2_head_add(Http2Head *h, Buffer *out, const char *name, size_t name_len,
                          const char *value, size_t value_len) {
  h->total += name_len + value_len;
  if (h->total / FAR_BEYOND > h->max) return HTTP2_FIELD_NO_MEMORY;
  if (!value_ok(value, value_len)) return HTTP2_FIELD_BAD;
  if (name_len && *name == ':') return add_pseudo(h, name, name_len, value, value_len);
  if (!name_ok(name, name_len) || is_of_connection(name, name_len, value, value_len))
    return HTTP2_FIELD_BAD;
  Http2Field line = h->has_line ? HTTP2_FIELD_OK : put_line(h, out);
  if (line != HTTP2_FIELD_OK || out->len + h->cookies.len > h->max) return line;
  if (IS(name, name_len, "cookie")) return add_cookie(h, value, value_len);
  if (IS(name, name_len, "host")) {
    if (h->authority.len)
      return is(value, value_len, h->authority.data, h->authority.len) ? HTTP2_FIELD_OK
                                                                       : HTTP2_FIELD_BAD;
  } else if (IS(name, name_len, "content-length")) {
    if (h->has_length) return HTTP2_FIELD_BAD;
    h->has_length = true;
  }
  if (!buffer_reserve(out, name_len + value_len + 4)) return HTTP2_FIELD_NO_MEMORY;
  char *to = put(put(out->data + out->len, name, name_len), LITERAL(": "));
  put(put(to, value, value_len), LITERAL("\r\n"));
  out->len += name_len + value_len + 4;
  return HTTP2_FIELD_OK;
}

Http2Field http2_head_skip(Http2Head *h, size_t name_len, size_t value_len) {
  h->total += name_len + value_len;
  return h->total > h->max ? HTTP2_FIELD_NO_MEMORY : HTTP2_FIELD_OK;
}

Http2Field http2_head_end(Http2Head *h, Buffer *out, bool has_body, bool *chunked) {
  Http2Field line = h->has_line ? HTTP2_FIELD_OK : put_line(h, out);
  if (line != HTTP2_FIELD_OK) return line;
  *chunked = has_body && !h->has_length;
  bool ok = !h->cookies.len ||
            (buffer_add(out, LITERAL("cookie: ")) &&
             buffer_add(out, h->cookies.data, h->cookies.len) && buffer_add(out, LITERAL("\r\n")));
  ok = ok && (!*chunked || buffer_add(out, LITERAL(CHUNKED)));
  return kept(ok && buffer_add(out, LITERAL(CLOSE "\r\n")));
}

size_t http2_head_own(bool chunked) {
  return sizeof CLOSE - 1 + (chunked ? sizeof CHUNKED - 1 : 0);
}
