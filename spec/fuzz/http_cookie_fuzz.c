/* Feeds bytes to the parser of Cookie headers: what comes out lies inside of what went in, in
   order, and is what comes out again when it is written as a Cookie header. */
#include "base/buffer.h"
#include "fuzz.h"
#include "http/http_cookie.h"

#include <stdint.h>
#include <stdlib.h>

static void write_cookie(Buffer *out, const HttpCookie *cookie) {
  bool ok = (!out->len || buffer_add(out, "; ", 2)) &&
            buffer_add(out, cookie->name, cookie->name_len) && buffer_add_char(out, '=') &&
            buffer_add(out, cookie->value, cookie->value_len);
  if (!ok) abort();
}

/* Writes all cookies of the text. */
static void rewrite(const char *text, size_t n, Buffer *out) {
  const char *at = text, *end = text + n;
  HttpCookie cookie;
  while (http_cookie_next(&at, &n, &cookie)) {
    if (!cookie.name_len || cookie.name < text || cookie.name + cookie.name_len >= cookie.value)
      abort();
    if (cookie.value + cookie.value_len > at || at + n != end) abort();
    text = cookie.value + cookie.value_len;
    if (memchr(cookie.name, '=', cookie.name_len) || memchr(cookie.value, ';', cookie.value_len))
      abort();
    write_cookie(out, &cookie);
  }
  if (n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Buffer once = {0}, twice = {0};
  char *text = exact_copy(data, size);
  rewrite(text, size, &once);
  free(text);
  if (once.len) rewrite(once.data, once.len, &twice);
  if (once.len != twice.len || (once.len && memcmp(once.data, twice.data, once.len))) abort();
  buffer_free(&once);
  buffer_free(&twice);
  return 0;
}
