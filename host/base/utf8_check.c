#include "base/utf8_check.h"

/* Could the `n` bytes (1 to 3) begin a character? */
static bool could_begin(const unsigned char *p, size_t n) {
  unsigned c = p[0];
  if (c < 0xC2 || c > 0xF4) return false;
  if (n == 1) return true;
  if (c < 0xE0) return false; /* two bytes would be all of it */
  unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
  unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high) return false;
  return n == 2 || (c >= 0xF0 && (p[2] & 0xC0) == 0x80);
}

bool utf8_check_more(Utf8Check *check, const char *p, size_t n) {
  while (check->count && n) {
    unsigned char whole[4];
    size_t count = check->count;
    memcpy(whole, check->begun, count);
    whole[count++] = (unsigned char)*p++;
    n--;
    if (utf8_length(whole, count) == count) {
      check->count = 0;
    } else if (count < 4 && could_begin(whole, count)) {
      memcpy(check->begun, whole, count);
      check->count = (unsigned char)count;
    } else {
      return false;
    }
  }
  size_t at = utf8_run(p, n), left = n - at;
  if (!left) return true;
  if (left > 3 || !could_begin((const unsigned char *)p + at, left)) return false;
  memcpy(check->begun, p + at, left);
  check->count = (unsigned char)left;
  return true;
}
