#include "redis/redis_slot.h"

#include <string.h>

/* CRC-16 with the polynomial 0x1021, from 0 on, not reflected (XMODEM). */
static unsigned crc16(const char *bytes, size_t n) {
  unsigned crc = 0;
  for (size_t i = 0; i < n; i++) {
    crc ^= (unsigned)(unsigned char)bytes[i] << 8;
    for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
  }
  return crc & 0xffff;
}

unsigned redis_slot(const char *key, size_t n) {
  const char *open = memchr(key, '{', n);
  if (open) {
    size_t left = n - (size_t)(open + 1 - key);
    const char *end = memchr(open + 1, '}', left);
    if (end && end > open + 1) return crc16(open + 1, (size_t)(end - open - 1)) % REDIS_SLOTS;
  }
  return crc16(key, n) % REDIS_SLOTS;
}
