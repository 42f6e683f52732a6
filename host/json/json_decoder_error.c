/* Messages about errors in a JSON text, with their position. */
#include "base/utf8.h"
#include "json/json_decoder.h"
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

bool json_decoder_fail(Decoder *d, const char *at, const char *format, ...) {
  JsonError *error = d->error;
  error->line = error->column = 1;
  error->offset = 0;
  error->is_too_large = false;
  for (const char *p = d->start; p < at; p++) {
    if (((unsigned char)*p & 0xC0) != 0x80) error->offset++;
    if (*p == '\n')
      error->line++, error->column = 1;
    else if (((unsigned char)*p & 0xC0) != 0x80)
      error->column++;
  }
  int n = snprintf(error->message, sizeof error->message,
                   "invalid JSON at line %zu, column %zu: ", error->line, error->column);
  va_list args;
  va_start(args, format);
  vsnprintf(error->message + n, sizeof error->message - (size_t)n, format, args);
  va_end(args);
  return false;
}

bool json_decoder_out_of_memory(Decoder *d) { return luaL_error(d->L, "not enough memory"); }

bool json_decoder_unexpected(Decoder *d, const char *at, const char *wanted) {
  if (at >= d->end) return json_decoder_fail(d, at, "the text ends where %s should be", wanted);
  const unsigned char *p = (const unsigned char *)at;
  unsigned length = utf8_length(p, (size_t)(d->end - at));
  if (length == 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
    return json_decoder_fail(d, at, "a byte order mark is not allowed");
  if (length == 0) return json_decoder_fail(d, at, "byte 0x%02X is not valid UTF-8", *p);
  if (*p < 0x20 || *p == 0x7F)
    return json_decoder_fail(d, at, "unexpected control character 0x%02X, %s should be here", *p,
                             wanted);
  return json_decoder_fail(d, at, "unexpected '%.*s', %s should be here", (int)length, at, wanted);
}
