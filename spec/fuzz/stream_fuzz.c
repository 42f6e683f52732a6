/* Fuzzes the reads of streams: what a list of reads finds in a text does not depend on the pieces
   in which the text comes, and nothing is scanned beyond what has come. */
#include "base/buffer.h"
#include "fuzz.h"
#include "stream/stream_scan.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Adds what was found to the list of what was read. */
static void note(Buffer *reads, StreamLook look, const char *bytes, size_t n) {
  char what = (char)('0' + look);
  if (!buffer_add_char(reads, what) || !buffer_add(reads, &n, sizeof n) ||
      !buffer_add(reads, bytes, n))
    abort();
}

static StreamWant want_of(uint8_t byte, const uint8_t *delimiter, size_t n) {
  static const StreamFormat formats[] = {STREAM_LINE, STREAM_LINE_NL, STREAM_COUNT, STREAM_UNTIL,
                                         STREAM_ALL};
  StreamWant want = {.format = formats[byte % 5], .n = byte / 5};
  want.delimiter = (const char *)delimiter;
  want.delimiter_len = n;
  return want;
}

/* Does the reads of `plan` on the text, which comes in pieces of `piece` bytes. The bytes that have
   come are a copy of their own, so that a look beyond them is noticed. */
static void read_all(Buffer *reads, const uint8_t *plan, size_t n_plan, const char *text, size_t n,
                     size_t piece, const uint8_t *delimiter, size_t n_delimiter) {
  size_t at = 0, come = piece < n ? piece : n;
  for (size_t i = 0; i < n_plan; i++) {
    StreamWant want = want_of(plan[i], delimiter, n_delimiter);
    for (;;) {
      StreamTail tail = come == n ? STREAM_ENDED : STREAM_OPEN;
      size_t here = come - at, len = 0, used = 0;
      char *copy = exact_copy(text + at, here);
      StreamLook look = stream_scan(&want, copy, here, tail, &len, &used);
      if (look == STREAM_FOUND) {
        if (len > used || used > here) abort();
        note(reads, look, copy, len);
        at += used;
      } else if (look != STREAM_MORE) {
        note(reads, look, "", 0);
      }
      free(copy);
      if (look != STREAM_MORE) break;
      if (come == n) abort(); /* it waits behind the end */
      come = n - come < piece ? n : come + piece;
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  size_t n_plan = 1 + data[0] % 16, n_delimiter = 1 + data[1] % 4, piece = 1 + data[2] % 64;
  if (size < 3 + n_plan + n_delimiter) return 0;
  const uint8_t *plan = data + 3, *delimiter = plan + n_plan;
  const char *text = (const char *)(delimiter + n_delimiter);
  size_t n = size - 3 - n_plan - n_delimiter;
  Buffer whole = {0}, pieces = {0}, bytes = {0};
  read_all(&whole, plan, n_plan, text, n, n ? n : 1, delimiter, n_delimiter);
  read_all(&pieces, plan, n_plan, text, n, piece, delimiter, n_delimiter);
  read_all(&bytes, plan, n_plan, text, n, 1, delimiter, n_delimiter);
  if (whole.len != pieces.len || whole.len != bytes.len ||
      memcmp(whole.data, pieces.data, whole.len) != 0 ||
      memcmp(whole.data, bytes.data, whole.len) != 0) {
    fprintf(stderr, "stream_fuzz: the pieces matter\n");
    abort();
  }
  buffer_free(&whole);
  buffer_free(&pieces);
  buffer_free(&bytes);
  return 0;
}
