/* Eight bytes of text at a time. A mask has the top bit set of the first byte that was looked for;
   above it a borrow may cause false alarms. */
#ifndef ML_WORD_H
#define ML_WORD_H

#include <stdint.h>
#include <string.h>

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_TOPS (WORD_ONES * 0x80)

/* The eight bytes at `p`, the first one lowest. */
static inline uint64_t word_load(const char *p) {
  uint64_t w;
  memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  w = __builtin_bswap64(w);
#endif
  return w;
}

/* The number of bytes before the first of a mask that is not 0. */
static inline unsigned word_before(uint64_t mask) { return (unsigned)__builtin_ctzll(mask) / 8; }

#endif
