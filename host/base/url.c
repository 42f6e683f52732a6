#include "base/url.h"

#include "base/utf8.h"
#include <string.h>

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at `p` stands for, or -1. */
static int escaped_byte(const char *p, const char *end) {
  if (end - p < 3) return -1;
  int high = hex_digit(p[1]), low = hex_digit(p[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

long url_decode(char *out, const char *text, size_t n, bool plus) {
  const char *end = text + n;
  char *o = out;
  while (text < end) {
    if (*text == '%') {
      int byte = escaped_byte(text, end);
      if (byte < 0) return -1;
      *o++ = (char)byte;
      text += 3;
    } else {
      *o++ = plus && *text == '+' ? ' ' : *text;
      text++;
    }
  }
  return o - out;
}

/* Decodes the escapes at `p` of one non-ASCII character, or of invalid bytes; 0 if there are
   none. */
static size_t escaped_bytes(unsigned char bytes[static 4], const char *p, const char *end) {
  size_t n = 0;
  for (; n < 4 && p < end && *p == '%'; n++, p += 3) {
    int byte = escaped_byte(p, end);
    if (byte < 0x80) break;
    bytes[n] = (unsigned char)byte;
  }
  return n;
}

size_t url_decode_query(char *out, const char *text, size_t n) {
  const char *end = text + n;
  char *o = out;
  while (text < end) {
    unsigned char bytes[4];
    size_t beyond = *text == '%' ? escaped_bytes(bytes, text, end) : 0;
    if (beyond) {
      unsigned length = utf8_length(bytes, beyond);
      if (length) {
        memcpy(o, bytes, length);
        o += length;
      } else {
        length = utf8_broken_length(bytes, beyond);
        memcpy(o, UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1);
        o += sizeof UTF8_REPLACEMENT - 1;
      }
      text += 3 * length;
      continue;
    }
    int byte = *text == '%' ? escaped_byte(text, end) : -1;
    *o++ = byte >= 0 ? (char)byte : *text == '+' ? ' ' : *text;
    text += byte >= 0 ? 3 : 1;
  }
  return (size_t)(o - out);
}

bool url_decodes_to_utf8(const char *text, size_t n) {
  const char *end = text + n;
  while ((text = memchr(text, '%', (size_t)(end - text)))) {
    unsigned char bytes[4];
    size_t beyond = escaped_bytes(bytes, text, end);
    unsigned length = beyond ? utf8_length(bytes, beyond) : 1;
    if (!length) return false;
    text += 3 * length;
  }
  return true;
}

bool url_percent_ok(const char *text, size_t n) {
  const char *end = text + n;
  while ((text = memchr(text, '%', (size_t)(end - text)))) {
    if (escaped_byte(text, end) < 0) return false;
    text += 3;
  }
  return true;
}

bool url_query_next(const char **query, size_t *n, UrlPair *pair) {
  while (*n) {
    const char *piece = *query, *amp = memchr(piece, '&', *n);
    size_t len = amp ? (size_t)(amp - piece) : *n;
    size_t used = amp ? len + 1 : len;
    *query += used;
    *n -= used;
    if (!len) continue;
    const char *equals = memchr(piece, '=', len);
    size_t name_len = equals ? (size_t)(equals - piece) : len;
    *pair = (UrlPair){piece, equals ? equals + 1 : piece + len, name_len,
                      equals ? len - name_len - 1 : 0};
    return true;
  }
  return false;
}
