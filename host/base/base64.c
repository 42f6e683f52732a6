#include "base/base64.h"

/* libsodium takes some bytes beyond ASCII for characters of the alphabet. */
bool base64_decode(void *out, size_t room, const char *text, size_t n, size_t *len, int variant) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)text[i] >= 0x80) return false;
  return sodium_base642bin(out, room, text, n, NULL, len, NULL, variant) == 0;
}
