/* Feeds bytes to the request parser in one piece, byte by byte and in pieces: all must see the same
   requests and the same refusal, and each request keeps the rules that the server counts on. The
   first byte chooses the size of the pieces, the second the limits, and whether pieces of bodies
   are read to their place. */
#include "fuzz.h"
#include "http/server/http_request.h"

#include <stdlib.h>

static void note(Buffer *log, const void *bytes, size_t n) {
  if (!buffer_add(log, bytes, n)) abort();
}

static void require(bool holds) {
  if (!holds) abort();
}

static void note_request(Buffer *log, HttpRequest *r) {
  const char *head = http_request_head(r);
  note(log, &r->method, 1);
  note(log, &r->minor, 1);
  note(log, &r->keep_alive, sizeof r->keep_alive);
  note(log, &r->no_path, sizeof r->no_path);
  note(log, head + r->path.at, r->path.len);
  note(log, "?", 1);
  note(log, head + r->query.at, r->query.len);
  const char *lines = head + r->headers.at;
  size_t n = r->headers.len;
  HttpHeader h;
  while (http_header_next(&lines, &n, &h)) {
    note(log, h.name, h.name_len);
    note(log, ":", 1);
    note(log, h.value, h.value_len);
  }
  note(log, r->body.data, r->body.len);
}

/* What a handler may take for granted. */
static void check_request(const HttpRequest *r) {
  const char *head = http_request_head(r);
  const HttpLimits *l = r->limits;
  require(r->path.len && (r->no_path || head[r->path.at] == '/'));
  require(!memchr(head + r->path.at, '\\', r->path.len));
  require(r->target.at + r->target.len < l->max_request_line);
  require(r->headers.at + r->headers.len + 2 <= l->max_header_bytes);
  require(r->body.len <= r->max_body && r->body.len == r->body_total);
  require(r->chunked || r->content_length == r->body.len);
  unsigned hosts = 0, lengths = 0, encodings = 0, count = 0;
  const char *lines = head + r->headers.at;
  size_t n = r->headers.len;
  HttpHeader h;
  while (http_header_next(&lines, &n, &h)) {
    count++;
    require(h.name_len && !memchr(h.name, ' ', h.name_len) && !memchr(h.name, '\n', h.name_len));
    require(!memchr(h.value, '\r', h.value_len) && !memchr(h.value, '\n', h.value_len) &&
            !memchr(h.value, 0, h.value_len));
    if (http_header_is(h.name, h.name_len, "host")) {
      hosts++;
      require(h.value_len && !memchr(h.value, '@', h.value_len) &&
              !memchr(h.value, '/', h.value_len) && !memchr(h.value, ',', h.value_len));
    }
    lengths += http_header_is(h.name, h.name_len, "content-length");
    encodings += http_header_is(h.name, h.name_len, "transfer-encoding");
  }
  require(count <= l->max_headers && hosts <= 1 && lengths + encodings <= 1);
  require(hosts || r->minor == 0);
  require(r->chunked == (encodings == 1));
}

static HttpProgress feed(HttpRequest *r, const uint8_t *data, size_t n, bool in_place) {
  if (in_place && r->state == REQUEST_IN_BODY && !http_request_pending(r)) {
    require(buffer_reserve(&r->body, n));
    char *end = r->body.data + r->body.len;
    if (n) memcpy(end, data, n);
    return http_request_feed(r, end, n);
  }
  char *copy = exact_copy(data, n);
  HttpProgress progress = http_request_feed(r, copy, n);
  free(copy);
  return progress;
}

static void run(const uint8_t *data, size_t size, size_t piece, bool small, bool in_place,
                Buffer *log) {
  HttpRequest r = {0};
  HttpLimits limits;
  BufferPool pool = {.size = BUFFER_POOL_SIZE(64)}, large_pool = {.size = BUFFER_POOL_SIZE(512)};
  http_limits_default(&limits);
  if (small) {
    limits.max_request_line = 64;
    limits.max_header_bytes = 256;
    limits.max_headers = 3;
  }
  http_request_open(&r, &limits, &pool, &large_pool);
  HttpProgress progress = HTTP_MORE;
  for (size_t at = 0; at < size && progress != HTTP_BAD; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    progress = feed(&r, data + at, n, in_place);
    while (progress == HTTP_HEAD_READ || progress == HTTP_COMPLETE) {
      if (progress == HTTP_HEAD_READ) {
        r.max_body = small ? 16 : 4096;
      } else {
        check_request(&r);
        note_request(log, &r);
        http_request_next(&r);
      }
      progress = http_request_parse(&r);
    }
  }
  if (progress == HTTP_BAD) {
    require(r.error_status >= 400 && r.error_status <= 505 && r.error_detail);
    note(log, &r.error_status, sizeof r.error_status);
    note(log, r.error_detail, strlen(r.error_detail));
  }
  http_request_close(&r);
  buffer_pool_trim(&pool, 0);
  buffer_pool_trim(&large_pool, 0);
}

static void compare(const Buffer *a, const Buffer *b) {
  require(a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  Buffer whole = {0}, pieces = {0}, bytes = {0};
  bool small = data[1] & 1, in_place = data[1] & 2;
  run(data + 2, size - 2, size, small, false, &whole);
  run(data + 2, size - 2, data[0] % 64 + 2, small, in_place, &pieces);
  run(data + 2, size - 2, 1, small, in_place, &bytes);
  compare(&whole, &pieces);
  compare(&whole, &bytes);
  buffer_free(&whole);
  buffer_free(&pieces);
  buffer_free(&bytes);
  return 0;
}
