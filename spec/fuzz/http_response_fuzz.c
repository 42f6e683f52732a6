/* Feeds bytes to the client's response parser in one piece, byte by byte and in pieces, with the
   body whole and bit by bit: all must see the same response. The first byte chooses the size of the
   pieces, the second the method and whether the connection ends behind the bytes. */
#include "http/client/client_response.h"

#include <stdlib.h>

typedef struct Seen {
  Buffer head, body;
  int status;
  bool complete, keep_alive, coded;
  const char *error_code;
} Seen;

enum { ANSWERS_HEAD = 1, ENDS = 2, MAX_BODY = 4096 };

static void take_all(ClientResponse *r, Buffer *body) {
  while (!r->error && (client_response_waiting(r) || r->coder_full)) {
    size_t before = body->len;
    if (client_response_take(r, body, 100) && body->len - before > 100) abort();
  }
}

static Seen run(const uint8_t *data, size_t size, size_t piece, uint8_t flags, bool by_pieces) {
  ClientResponse r = {0};
  Seen seen = {0};
  client_response_open(&r, flags & ANSWERS_HEAD, MAX_BODY, by_pieces);
  bool ok = true;
  for (size_t at = 0; at < size && ok; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    char *copy = malloc(n); /* so that ASan sees every read beyond the piece */
    if (!copy) abort();
    memcpy(copy, data + at, n);
    ok = client_response_feed(&r, copy, n);
    free(copy);
    if (by_pieces) take_all(&r, &seen.body);
  }
  if (ok && flags & ENDS) ok = client_response_end(&r);
  while (ok && !by_pieces && r.complete && r.coder) ok = client_response_decode(&r);
  if (ok && by_pieces && r.complete) client_response_take(&r, &seen.body, 1); /* the coding's end */
  if (ok && flags & ENDS && !r.complete) abort();
  if (!ok && (!r.error_kind || !r.error_code || !r.error)) abort();
  seen.error_code = r.error_code;
  seen.coded = r.coder;
  seen.complete = r.complete;
  seen.keep_alive = r.complete && r.keep_alive;
  seen.status = r.head_read ? r.status : 0;
  if (r.head_read && !buffer_add(&seen.head, r.head.data, r.head.len)) abort();
  if (!by_pieces && !buffer_add(&seen.body, r.body.data, r.body.len)) abort();
  if (r.coder) seen.body.len = 0; /* in one piece, it is not decoded before its end */
  if (seen.body.len > MAX_BODY && !r.error) abort();
  client_response_reset(&r);
  client_response_close(&r);
  return seen;
}

static bool same(const Buffer *a, const Buffer *b) {
  return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* In one piece, a body is decoded when it is complete; a decoder may hold back the byte that is too
   much until more input comes. */
static bool is_still_to_come(const Seen *seen, const Seen *other) {
  return !seen->complete && !seen->error_code && other->error_code &&
         (!strcmp(other->error_code, "too_large") ||
          !strcmp(other->error_code, "BAD_CONTENT_ENCODING"));
}

/* Errors may be found at different times, so that they hide each other; what is good is the same.
 */
static void compare(const Seen *a, const Seen *b) {
  if (is_still_to_come(a, b) || is_still_to_come(b, a)) return;
  if (!a->error_code != !b->error_code) abort();
  if (a->error_code) return;
  if (a->status != b->status || a->complete != b->complete || a->keep_alive != b->keep_alive)
    abort();
  if (!same(&a->head, &b->head) || !same(&a->body, &b->body)) abort();
}

/* Of one way of reading, errors too are found at the same byte, but for what decoders tell of late.
 */
static void compare_errors(const Seen *a, const Seen *b) {
  compare(a, b);
  if (!a->coded && a->error_code && strcmp(a->error_code, b->error_code)) abort();
}

static void seen_free(Seen *seen) {
  buffer_free(&seen->head);
  buffer_free(&seen->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t piece = data[0] % 64 + 2;
  uint8_t flags = data[1];
  data += 2;
  size -= 2;
  Seen whole = run(data, size, size ? size : 1, flags, false);
  Seen pieces = run(data, size, piece, flags, false);
  Seen bytes = run(data, size, 1, flags, false);
  Seen taken = run(data, size, piece, flags, true);
  compare_errors(&whole, &pieces);
  compare_errors(&whole, &bytes);
  compare(&whole, &taken);
  seen_free(&whole);
  seen_free(&pieces);
  seen_free(&bytes);
  seen_free(&taken);
  return 0;
}
