/* Feeds bytes to the query parser and the percent decoder: pairs lie inside of the text and in
   order; decoding fails where url_percent_ok says so and nowhere else, never gets longer, and gives
   back what was encoded. */
#include "base/buffer.h"
#include "base/url.h"
#include "base/utf8.h"
#include "fuzz.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Encodes every byte but letters, and compares what that decodes to. */
static void check_encoding(const char *bytes, size_t n) {
  Buffer text = {0};
  for (size_t i = 0; i < n; i++) {
    char c = bytes[i];
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (!(letter ? buffer_add_char(&text, c) : buffer_printf(&text, "%%%02x", c & 0xff))) abort();
  }
  if (text.len) {
    long decoded = url_decode(text.data, text.data, text.len, true);
    if (decoded != (long)n || memcmp(text.data, bytes, n)) abort();
  }
  buffer_free(&text);
}

static void check_decoding(const char *text, size_t n, bool plus) {
  char *out = malloc(n ? n : 1);
  if (!out) abort();
  long decoded = url_decode(out, text, n, plus);
  if ((decoded >= 0) != url_percent_ok(text, n) || decoded > (long)n) abort();
  if (decoded >= 0) check_encoding(out, (size_t)decoded);
  free(out);
}

/* As a query: what is right decodes to the same, all else to UTF-8 that is no longer. */
static void check_query(const char *bytes, size_t n) {
  char *text = malloc(n + 1), *out = malloc(n + 1), *strict = malloc(n + 1);
  if (!text || !out || !strict) abort();
  for (size_t i = 0; i < n; i++) text[i] = (char)(bytes[i] & 0x7f);
  size_t length = url_decode_query(out, text, n);
  if (length > n || !utf8_is_well_formed(out, length)) abort();
  if (url_percent_ok(text, n) && url_decodes_to_utf8(text, n)) {
    long decoded = url_decode(strict, text, n, true);
    if (decoded != (long)length || memcmp(out, strict, length)) abort();
  }
  free(text);
  free(out);
  free(strict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = exact_copy(data, size);
  const char *at = text, *last = text, *end = text + size;
  size_t n = size;
  UrlPair pair;
  while (url_query_next(&at, &n, &pair)) {
    if (pair.name < last || pair.name + pair.name_len > pair.value) abort();
    last = pair.value + pair.value_len;
    if (last > at || at + n != end) abort();
    if (memchr(pair.name, '=', pair.name_len) || memchr(pair.name, '&', pair.name_len) ||
        memchr(pair.value, '&', pair.value_len))
      abort();
    check_decoding(pair.name, pair.name_len, true);
    check_decoding(pair.value, pair.value_len, true);
    check_decoding(pair.value, pair.value_len, false);
    check_query(pair.value, pair.value_len);
  }
  if (n) abort();
  free(text);
  return 0;
}
