/* Looking at eight bytes of JSON at a time. In strings for what is not plain: quotes, backslashes,
   control characters, and bytes beyond ASCII. Plain bytes stand for themselves and need no look at
   what follows them. In numbers for the end of the digits. */
#ifndef ML_JSON_SCAN_H
#define ML_JSON_SCAN_H

#include "base/word.h"
#include <stdbool.h>

/* Does the byte stand for itself in a JSON string? */
static inline bool json_is_plain(char c) {
  unsigned char u = (unsigned char)c;
  return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
}

/* Not 0 if one of the eight bytes is not plain. The top bit of each such byte is set, up to the
   first: above it a borrow may raise false alarms. */
static inline uint64_t json_special8(uint64_t w) {
  uint64_t quote = w ^ (WORD_ONES * '"'), backslash = w ^ (WORD_ONES * '\\');
  return (w | (w - WORD_ONES * 0x20) | (quote - WORD_ONES) | (backslash - WORD_ONES)) & WORD_TOPS;
}

/* The same for bytes that are not digits. Of those beyond ASCII the sum finds the first 48, the
   difference the others. */
static inline uint64_t json_not_digit8(uint64_t w) {
  return ((w + WORD_ONES * (0x7F - '9')) | (w - WORD_ONES * '0')) & WORD_TOPS;
}

/* The first byte from `p` that is not plain, or `end`. */
static inline const char *json_skip_plain(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t special = json_special8(word_load(p));
    if (special) return p + word_before(special);
  }
  while (p < end && json_is_plain(*p)) p++;
  return p;
}

#endif
