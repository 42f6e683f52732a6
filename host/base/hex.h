/* Bytes as hexadecimal digits, in lower case. */
#ifndef ML_HEX_H
#define ML_HEX_H

#include <stddef.h>

/* Writes two digits for each of the `n` bytes to `to`, without an end mark; returns where they
   end. */
static inline char *hex_put(char *to, const void *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) {
    *to++ = digits[p[i] >> 4];
    *to++ = digits[p[i] & 15];
  }
  return to;
}

#endif
