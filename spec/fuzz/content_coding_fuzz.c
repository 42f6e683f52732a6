/* Content codings. The first byte chooses: bytes from outside are decoded in one piece and in
   pieces, which must give the same as long as both are accepted; or they are encoded in pieces and
   decoded again, which must give them back. The output is bounded. */
#include "http/content_coding.h"

#include <stdint.h>
#include <stdlib.h>

enum { LIMIT = 1 << 20 };

/* Feeds the input in pieces; each is a copy, so that ASan sees every read beyond it. */
static CodingResult run(ContentCoder *c, const uint8_t *data, size_t size, size_t piece, bool flush,
                        Buffer *out) {
  CodingResult result = CODING_DONE;
  if (!c) abort();
  for (size_t at = 0; at < size && result == CODING_DONE; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    char *copy = malloc(n);
    if (!copy) abort();
    memcpy(copy, data + at, n);
    const char *bytes = copy;
    result = content_coding_coder_feed(c, &bytes, &n, out, LIMIT);
    if (result == CODING_DONE && n) abort();
    free(copy);
    if (result == CODING_DONE && flush) result = content_coding_coder_flush(c, out);
  }
  if (result == CODING_DONE) result = content_coding_coder_finish(c, out);
  content_coding_coder_free(c);
  if (out->len > LIMIT) abort();
  return result;
}

static void decode(ContentCoding coding, const uint8_t *data, size_t size, size_t piece) {
  Buffer whole = {0}, pieces = {0};
  CodingResult a = run(content_coding_decoder_new(coding), data, size, size, false, &whole);
  CodingResult b = run(content_coding_decoder_new(coding), data, size, piece, false, &pieces);
  if (a != b) abort();
  if (a == CODING_DONE &&
      (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len))))
    abort();
  buffer_free(&whole);
  buffer_free(&pieces);
}

static void there_and_back(ContentCoding coding, const uint8_t *data, size_t size, size_t piece,
                           bool flush) {
  Buffer coded = {0}, plain = {0};
  if (run(content_coding_encoder_new(coding, (int)(piece % 10)), data, size, piece, flush, &coded))
    abort();
  if (run(content_coding_decoder_new(coding), (uint8_t *)coded.data, coded.len, 1 + piece % 7,
          false, &plain))
    abort();
  if (plain.len != size || (size && memcmp(plain.data, data, size))) abort();
  buffer_free(&coded);
  buffer_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  ContentCoding coding = (ContentCoding)(data[0] % 3);
  bool encodes = data[0] & 0x80, flush = data[0] & 0x40;
  size_t piece = (size_t)data[1] + 1;
  data += 2;
  size -= 2;
  if (!encodes)
    decode(coding, data, size, piece);
  else if (coding != CODING_DEFLATE && size < LIMIT / 4)
    there_and_back(coding, data, size, piece, flush);
  return 0;
}
