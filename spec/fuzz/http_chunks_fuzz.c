/* Reads a chunked body in one piece, byte by byte and in pieces: all must find the same bytes, the
   same end and the same fault. What is found is compared with llhttp, which must read the chunks
   alike once they are without extensions and trailers, and where they have none from the start. The
   first byte chooses the size of the pieces. */
#include "base/buffer.h"
#include "http/http_chunks.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPARE = 200, TRAILERS = 3 };

typedef struct Seen {
  Buffer body;
  Buffer plain; /* the same chunks without extensions and trailers */
  HttpChunksStep end;
  size_t used;
} Seen;

static void require(bool holds) {
  if (!holds) abort();
}

static void note(Buffer *b, const void *bytes, size_t n) { require(buffer_add(b, bytes, n)); }

static Seen run(const uint8_t *bytes, size_t size, size_t piece) {
  Seen seen = {.end = HTTP_CHUNKS_MORE};
  HttpChunks chunks;
  http_chunks_open(&chunks, SPARE, TRAILERS);
  for (size_t at = 0; at < size && seen.end == HTTP_CHUNKS_MORE; at += piece) {
    size_t n = size - at < piece ? size - at : piece, len;
    char *copy = malloc(n); /* so that ASan sees every read beyond the piece */
    require(copy);
    memcpy(copy, bytes + at, n);
    const char *p = copy, *data;
    while ((seen.end = http_chunks_read(&chunks, &p, copy + n, &data, &len)) == HTTP_CHUNKS_DATA) {
      require(len && len <= n);
      note(&seen.body, data, len);
      require(buffer_printf(&seen.plain, "%zx\r\n", len));
      note(&seen.plain, data, len);
      note(&seen.plain, "\r\n", 2);
    }
    require(p <= copy + n && (seen.end != HTTP_CHUNKS_MORE || p == copy + n));
    seen.used += (size_t)(p - copy);
    free(copy);
  }
  note(&seen.plain, "0\r\n\r\n", 5);
  return seen;
}

static void compare(const Seen *a, const Seen *b) {
  require(a->end == b->end && a->used == b->used && a->body.len == b->body.len);
  require(!a->body.len || !memcmp(a->body.data, b->body.data, a->body.len));
}

static void seen_free(Seen *seen) {
  buffer_free(&seen->body);
  buffer_free(&seen->plain);
}

/* --- llhttp's way --- */

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  note(parser->data, at, n);
  return 0;
}

static int on_complete(llhttp_t *parser) {
  (void)parser;
  return HPE_PAUSED;
}

/* Is it a whole body, of which `body` is what it holds? `*used` is where it ends. */
static bool llhttp_reads(const void *bytes, size_t n, Buffer *body, size_t *used) {
  static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  static const llhttp_settings_t settings = {.on_body = on_body,
                                             .on_message_complete = on_complete};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = body;
  require(llhttp_execute(&parser, head, sizeof head - 1) == HPE_OK);
  if (llhttp_execute(&parser, bytes, n) != HPE_PAUSED) return false;
  *used = (size_t)(llhttp_get_error_pos(&parser) - (const char *)bytes);
  return true;
}

/* Does a body that is whole end with its last chunk, without trailers? */
static bool ends_plainly(const uint8_t *bytes, size_t n) {
  if (n < 5 || memcmp(bytes + n - 4, "\r\n\r\n", 4)) return false;
  for (n -= 4; n && bytes[n - 1] == '0'; n--) continue;
  return !n || bytes[n - 1] == '\n';
}

static void compare_with_llhttp(const Seen *seen, const uint8_t *bytes, size_t n) {
  Buffer body = {0};
  size_t used;
  if (seen->end == HTTP_CHUNKS_OVER) {
    require(llhttp_reads(seen->plain.data, seen->plain.len, &body, &used));
    require(used == seen->plain.len && body.len == seen->body.len);
    require(!body.len || !memcmp(body.data, seen->body.data, body.len));
  }
  body.len = 0;
  bool plain = !n || !memchr(bytes, ';', n);
  bool is_long = seen->end == HTTP_CHUNKS_LONG || seen->end == HTTP_CHUNKS_LONG_TRAILERS;
  if (plain && !is_long && llhttp_reads(bytes, n, &body, &used) && ends_plainly(bytes, used)) {
    require(seen->end == HTTP_CHUNKS_OVER && used == seen->used && body.len == seen->body.len);
    require(!body.len || !memcmp(body.data, seen->body.data, body.len));
  }
  buffer_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  size_t piece = data[0] % 32 + 2;
  data++;
  size--;
  Seen whole = run(data, size, size ? size : 1);
  Seen pieces = run(data, size, piece);
  Seen bytes = run(data, size, 1);
  compare(&whole, &pieces);
  compare(&whole, &bytes);
  compare_with_llhttp(&whole, data, size);
  seen_free(&whole);
  seen_free(&pieces);
  seen_free(&bytes);
  return 0;
}
