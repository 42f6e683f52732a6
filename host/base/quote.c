#include "base/quote.h"

#include "base/hex.h"
#include "base/utf8.h"

#include <string.h>

static bool add_text(Buffer *out, const char *text) { return buffer_add(out, text, strlen(text)); }

static bool add_hex(Buffer *out, const char *prefix, unsigned char c) {
  char digits[2];
  hex_put(digits, &c, 1);
  return add_text(out, prefix) && buffer_add(out, digits, 2);
}

/* A character that utf8_is_control is true of. */
static bool add_control(Buffer *out, const unsigned char *p, unsigned length) {
  if (length < 2) return add_hex(out, "\\u00", *p);
  if (length == 2) return add_hex(out, "\\u00", p[1]);
  return add_hex(out, "\\u20", (unsigned char)(p[1] << 6 | (p[2] & 0x3F)));
}

static bool add_ascii(Buffer *out, const unsigned char *p) {
  switch (*p) {
  case '\n':
    return add_text(out, "\\n");
  case '\t':
    return add_text(out, "\\t");
  case '\r':
    return add_text(out, "\\r");
  case '"':
    return add_text(out, "\\\"");
  case '\\':
    return add_text(out, "\\\\");
  default:
    return utf8_is_control(p, 1) ? add_control(out, p, 1) : buffer_add_char(out, (char)*p);
  }
}

bool quote_json(Buffer *out, const char *text, size_t n) {
  bool ok = true;
  for (size_t i = 0; ok && i < n;) {
    const unsigned char *p = (const unsigned char *)text + i;
    unsigned length = utf8_length(p, n - i);
    if (!length)
      ok = add_hex(out, "\\\\x", *p);
    else if (length == 1)
      ok = add_ascii(out, p);
    else
      ok = utf8_is_control(p, length) ? add_control(out, p, length) : buffer_add(out, p, length);
    i += length ? length : 1;
  }
  return ok;
}

bool quote_text(Buffer *out, const char *text, size_t n) {
  bool ok = true;
  for (size_t i = 0; ok && i < n;) {
    const unsigned char *p = (const unsigned char *)text + i;
    unsigned length = utf8_length(p, n - i), taken = length ? length : 1;
    if (*p == '\n' || *p == '\r')
      ok = add_ascii(out, p);
    else if (*p == '\t' || (length && !utf8_is_control(p, length)))
      ok = buffer_add(out, p, taken);
    else
      for (unsigned k = 0; ok && k < taken; k++) ok = add_hex(out, "\\x", p[k]);
    i += taken;
  }
  return ok;
}

bool quote_json_value(Buffer *out, const char *json, size_t n) {
  bool ok = true;
  for (size_t i = 0; ok && i < n;) {
    const unsigned char *p = (const unsigned char *)json + i;
    unsigned length = utf8_length(p, n - i);
    ok = length && *p >= 0x7F && utf8_is_control(p, length)
             ? add_control(out, p, length)
             : buffer_add(out, p, length ? length : 1);
    i += length ? length : 1;
  }
  return ok;
}
