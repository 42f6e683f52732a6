#include "inspect/quoted.h"

#include "base/utf8.h"

#define ELLIPSIS "\xE2\x80\xA6"

static bool add_one(Buffer *out, const char *p, unsigned length) {
  unsigned char c = (unsigned char)*p;
  if (!length) return buffer_add(out, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
  if (c == '"' || c == '\\') return buffer_add_char(out, '\\') && buffer_add_char(out, *p);
  if (c == '\n') return buffer_add(out, "\\n", 2);
  if (c == '\t') return buffer_add(out, "\\t", 2);
  if (c < 0x20 || c == 0x7F) return buffer_printf(out, "\\u%04x", c);
  return buffer_add(out, p, length);
}

/* Appends `text` in quotes. */
static bool add_quoted(Buffer *out, const char *text, size_t most) {
  size_t n = strnlen(text, most + 1), at = 0;
  bool is_cut = n > most, ok = buffer_add_char(out, '"');
  if (is_cut) n = most;
  while (ok && at < n) {
    unsigned length = utf8_length((const unsigned char *)text + at, n - at);
    if (!length && is_cut && n - at < 4) break; /* the half of a character */
    ok = add_one(out, text + at, length);
    at += length ? length : 1;
  }
  if (is_cut) ok = ok && buffer_add(out, ELLIPSIS, sizeof ELLIPSIS - 1);
  return ok && buffer_add_char(out, '"');
}

bool quoted_add_field(Buffer *out, const char *key, const char *text, size_t most) {
  if (!text) return true;
  return buffer_printf(out, ",\"%s\":", key) && add_quoted(out, text, most);
}
