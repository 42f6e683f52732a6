/* Looking at eight bytes of JSON at a time. In strings for what is not plain: quotes, backslashes,
   control characters, and bytes beyond ASCII. Plain bytes stand for themselves and need no look at
   what follows them. In numbers for the end of the digits. */
#ifndef ML_JSON_SCAN_H
#define ML_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Does the byte stand for itself in a JSON string? */
static inline bool json_is_plain(char c) {
  unsigned char u = (unsigned char)c;
  return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
}

/* The eight bytes at `p`, the first one lowest. */
static inline uint64_t json_load8(const char *p) {
  uint64_t w;
  memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  w = __builtin_bswap64(w);
#endif
  return w;
}

/* Not 0 if one of the eight bytes is not plain. The top bit of each such byte is set, up to the
   first: above it a borrow may raise false alarms. */
static inline uint64_t json_special8(uint64_t w) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
  return (w | (w - ones * 0x20) | (quote - ones) | (backslash - ones)) & (ones * 0x80);
}

/* The same for bytes that are not digits. */
static inline uint64_t json_not_digit8(uint64_t w) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  return (w | (w + ones * (0x7F - '9')) | (w - ones * '0')) & (ones * 0x80);
}

/* The number of bytes before the first that json_special8 or json_not_digit8 found. */
static inline unsigned json_before_special(uint64_t special) {
  return (unsigned)__builtin_ctzll(special) / 8;
}

/* The first byte from `p` that is not plain, or `end`. */
static inline const char *json_skip_plain(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t special = json_special8(json_load8(p));
    if (special) return p + json_before_special(special);
  }
  while (p < end && json_is_plain(*p)) p++;
  return p;
}

#endif
