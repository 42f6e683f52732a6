/* Accept-Encoding: what is chosen is something that the client names or leaves open by `*`, and a
   weight of 0 for all is a choice of none. */
#include "fuzz.h"
#include "http/server/http_accept.h"

#include <ctype.h>

static bool has_word(const char *text, size_t size, const char *word) {
  size_t n = strlen(word);
  for (size_t i = 0; i + n <= size; i++) {
    size_t same = 0;
    while (same < n && tolower((unsigned char)text[i + same]) == word[same]) same++;
    if (same == n) return true;
  }
  return false;
}

static void check_more(const char *text, size_t size, const char *more, bool wanted,
                       ContentCoding coding) {
  size_t n = strlen(more);
  char *longer = malloc(size + n);
  check(longer != NULL);
  memcpy(longer, text, size);
  memcpy(longer + size, more, n);
  ContentCoding found = coding;
  check(http_accept_coding(longer, size + n, &found) == wanted && found == coding);
  free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = exact_copy(data, size);
  ContentCoding coding = CODING_GZIP;
  bool is_coded = http_accept_coding(text, size, &coding);
  if (is_coded) {
    const char *name = coding == CODING_BROTLI ? "br" : "gzip";
    check(coding == CODING_BROTLI || coding == CODING_GZIP);
    check(has_word(text, size, name) || memchr(text, '*', size));
  }
  check_more(text, size, ",br;q=0,gzip;q=0,x-gzip;q=0", false, coding);
  check_more(text, size, ", , x;q=1, gzip;q=2, br ;; q=1", is_coded, coding);
  if (is_coded) check_more(text, size, ",identity;q=0", true, coding);
  free(text);
  return 0;
}
