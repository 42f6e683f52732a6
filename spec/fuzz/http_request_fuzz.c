/* Feeds bytes to the request parser in one piece and in pieces: both must see the same requests.
   The first byte chooses the size of the pieces. */
#include "http_request.h"

#include <stdlib.h>

static void note(Buffer *log, const void *bytes, size_t n) {
  if (!buffer_add(log, bytes, n)) abort();
}

static void note_request(Buffer *log, HttpRequest *r) {
  const char *head = http_request_head(r);
  note(log, &r->method, 1);
  note(log, &r->minor, 1);
  note(log, &r->keep_alive, sizeof r->keep_alive);
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

static void run(const uint8_t *data, size_t size, size_t piece, Buffer *log) {
  HttpRequest r = {0};
  HttpLimits limits;
  BufferPool pool = {.size = 512};
  http_limits_default(&limits);
  http_request_open(&r, &limits, &pool);
  HttpProgress progress = HTTP_MORE;
  for (size_t at = 0; at < size && progress != HTTP_BAD; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    char *copy = malloc(n ? n : 1); /* so that ASan sees every read beyond the piece */
    if (!copy) abort();
    memcpy(copy, data + at, n);
    progress = http_request_feed(&r, copy, n);
    free(copy);
    while (progress == HTTP_HEAD_READ || progress == HTTP_COMPLETE) {
      if (progress == HTTP_HEAD_READ) {
        r.max_body = 4096;
      } else {
        note_request(log, &r);
        http_request_next(&r);
      }
      progress = http_request_parse(&r);
    }
  }
  if (progress == HTTP_BAD && (!r.error_status || !r.error_detail)) abort();
  http_request_close(&r);
  buffer_pool_trim(&pool, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  Buffer whole = {0}, pieces = {0};
  run(data + 1, size - 1, size, &whole);
  run(data + 1, size - 1, data[0] % 32 + 1, &pieces);
  if (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len))) abort();
  buffer_free(&whole);
  buffer_free(&pieces);
  return 0;
}
