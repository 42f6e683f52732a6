/* UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef ML_UTF8_H
#define ML_UTF8_H

#include "base/word.h"

#include <stdbool.h>
#include <stddef.h>

/* Length (1 to 4) of the well-formed character at `p`, of which `left` bytes may be read; else 0.
 */
static inline unsigned utf8_length(const unsigned char *p, size_t left) {
  if (left == 0) return 0;
  unsigned c = p[0];
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4 || left < 2) return 0;
  if (c < 0xE0) return (p[1] & 0xC0) == 0x80 ? 2 : 0;
  /* The range of the second byte excludes overlong forms, surrogates and code points beyond
     Unicode. */
  unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
  unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high || left < 3 || (p[2] & 0xC0) != 0x80) return 0;
  if (c < 0xF0) return 3;
  return left >= 4 && (p[3] & 0xC0) == 0x80 ? 4 : 0;
}

/* Is all of it ASCII? */
static inline bool utf8_is_ascii(const char *p, size_t n) {
  uint64_t bits = 0;
  for (; n >= 32; p += 32, n -= 32)
    bits |= word_load(p) | word_load(p + 8) | word_load(p + 16) | word_load(p + 24);
  for (; n >= 8; p += 8, n -= 8) bits |= word_load(p);
  for (; n; p++, n--) bits |= (unsigned char)*p;
  return !(bits & WORD_TOPS);
}

/* How many of the bytes at `p` are well-formed characters, up to the first that is not. */
static inline size_t utf8_run(const char *p, size_t n) {
  size_t at = 0;
  while (at < n) {
    unsigned length = n - at >= 8 && !(word_load(p + at) & WORD_TOPS)
                          ? 8
                          : utf8_length((const unsigned char *)p + at, n - at);
    if (!length) break;
    at += length;
  }
  return at;
}

static inline bool utf8_is_well_formed(const char *p, size_t n) { return utf8_run(p, n) == n; }

/* The length of `text`, of `n` bytes, cut to `max` bytes at most, and not inside of a character. */
static inline size_t utf8_cut(const char *text, size_t n, size_t max) {
  if (n <= max) return n;
  for (size_t at = max; at > 0 && max - at < 4; at--)
    if (((unsigned char)text[at] & 0xC0) != 0x80) return at;
  return max < 4 ? 0 : max; /* no characters */
}

/* Is the character at `p`, of `length` bytes (utf8_length), one that terminals obey, or that
   changes where others are shown? C0, DEL and C1; U+2028 to U+202E, which end lines and turn the
   order around; and U+2066 to U+2069, which do that, too. */
static inline bool utf8_is_control(const unsigned char *p, unsigned length) {
  if (length == 3)
    return *p == 0xE2 && ((p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
                          (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
  return *p < ' ' || *p == 0x7F || (length == 2 && *p == 0xC2 && p[1] < 0xA0);
}

/* The replacement for invalid bytes: U+FFFD. */
#define UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* How many of the `left` bytes at `p`, where there is no well-formed character, are replaced by one
   U+FFFD: those that could begin a character, as in the Encoding standard. */
static inline unsigned utf8_broken_length(const unsigned char *p, size_t left) {
  unsigned c = p[0];
  if (c < 0xE0 || c > 0xF4 || left < 2) return 1;
  unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
  unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high) return 1;
  return c >= 0xF0 && left >= 3 && (p[2] & 0xC0) == 0x80 ? 3 : 2;
}

/* Writes the code point `c` (no surrogate, at most U+10FFFF) to `out`; returns its length. */
static inline unsigned utf8_put(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xE0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3F));
    out[2] = (char)(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 0x3F));
  out[2] = (char)(0x80 | (c >> 6 & 0x3F));
  out[3] = (char)(0x80 | (c & 0x3F));
  return 4;
}

#endif
