/* The strings of JSON text (RFC 8259 section 7). */
#include "base/utf8.h"
#include "json/json_decoder.h"
#include "json/json_scan.h"
#include <string.h>

/* Reads four hexadecimal digits at `p`. */
static bool hex4(Decoder *d, const char *p, unsigned *value) {
  unsigned v = 0;
  for (int i = 0; i < 4; i++, p++) {
    unsigned c = p < d->end ? (unsigned char)*p : 0;
    if (c >= '0' && c <= '9')
      v = v << 4 | (c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
      v = v << 4 | ((c | 0x20) - 'a' + 10);
    else
      return json_decoder_unexpected(d, p, "a hexadecimal digit");
  }
  *value = v;
  return true;
}

/* At a backslash: writes the decoded escape to *o and advances both. */
static bool decode_escape(Decoder *d, const char **at, char **o) {
  const char *p = *at + 1;
  unsigned char c = p < d->end ? (unsigned char)*p : 0;
  switch (c) {
  case '"':
  case '\\':
  case '/':
    break;
  case 'b':
    c = '\b';
    break;
  case 'f':
    c = '\f';
    break;
  case 'n':
    c = '\n';
    break;
  case 'r':
    c = '\r';
    break;
  case 't':
    c = '\t';
    break;
  case 'u': {
    unsigned unit, low;
    if (!hex4(d, p + 1, &unit)) return false;
    p += 5;
    if (unit >= 0xDC00 && unit <= 0xDFFF)
      return json_decoder_fail(
          d, *at, "\\u%04X is the second half of a surrogate pair without a first", unit);
    if (unit >= 0xD800 && unit <= 0xDBFF) {
      low = 0;
      if (d->end - p >= 2 && p[0] == '\\' && p[1] == 'u' && !hex4(d, p + 2, &low)) return false;
      if (low < 0xDC00 || low > 0xDFFF)
        return json_decoder_fail(
            d, *at, "\\u%04X is the first half of a surrogate pair without a second", unit);
      p += 6;
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    *o += utf8_put(*o, unit);
    *at = p;
    return true;
  }
  default:
    return json_decoder_unexpected(d, p, "one of \"\\/bfnrtu after a backslash");
  }
  *(*o)++ = (char)c;
  *at = p + 1;
  return true;
}

/* Moves over plain characters. NULL after a failure, otherwise at a quote, a backslash, or the end
   of the text. */
static const char *skip_unescaped(Decoder *d, const char *p) {
  for (;;) {
    p = json_skip_plain(p, d->end);
    if (p == d->end || *p == '"' || *p == '\\') return p;
    unsigned char c = (unsigned char)*p;
    if (c < 0x20) {
      json_decoder_fail(d, p, "control character 0x%02X in a string must be written as an escape",
                        c);
      return NULL;
    }
    unsigned length = utf8_length((const unsigned char *)p, (size_t)(d->end - p));
    if (!length) {
      json_decoder_fail(d, p, "byte 0x%02X is not valid UTF-8", c);
      return NULL;
    }
    p += length;
  }
}

/* The rest of decode_string for a string with an escape at `p`. Not inlined: decode_value recurses,
   and would have this buffer in each of its frames. */
__attribute__((noinline)) static bool decode_escaped_string(Decoder *d, const char *start,
                                                            const char *p) {
  const char *quote = p; /* escapes only ever get shorter: the raw length is room enough */
  while (quote < d->end && *quote != '"') quote += *quote == '\\' ? 2 : 1;
  if (quote >= d->end) quote = d->end;
  char small[512], *text = small;
  size_t room = (size_t)(quote - start);
  if (room > sizeof small) text = lua_newuserdatauv(d->L, room, 0);
  char *o = text;
  for (;;) {
    memcpy(o, start, (size_t)(p - start));
    o += p - start;
    if (p == d->end) return json_decoder_fail(d, p, "the text ends inside a string");
    if (*p == '"') break;
    if (!decode_escape(d, &p, &o)) return false;
    start = p;
    p = skip_unescaped(d, p);
    if (!p) return false;
  }
  d->p = p + 1;
  lua_pushlstring(d->L, text, (size_t)(o - text));
  if (text != small) lua_remove(d->L, -2);
  return true;
}

bool json_decoder_string(Decoder *d) {
  const char *start = d->p + 1, *p = skip_unescaped(d, start);
  if (!p) return false;
  if (p == d->end) return json_decoder_fail(d, p, "the text ends inside a string");
  if (*p == '\\') return decode_escaped_string(d, start, p);
  d->p = p + 1;
  lua_pushlstring(d->L, start, (size_t)(p - start));
  return true;
}
