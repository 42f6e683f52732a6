#include "http/http_cookie.h"

#include <string.h>

/* Trims spaces and tabs from both ends. */
static void trim(const char **text, size_t *n) {
  while (*n && (**text == ' ' || **text == '\t')) {
    ++*text;
    --*n;
  }
  while (*n && ((*text)[*n - 1] == ' ' || (*text)[*n - 1] == '\t')) --*n;
}

static bool has_control(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c < ' ' && c != '\t') || c == 0x7f) return true;
  }
  return false;
}

bool http_cookie_next(const char **text, size_t *n, HttpCookie *cookie) {
  while (*n) {
    const char *piece = *text, *semicolon = memchr(piece, ';', *n);
    size_t len = semicolon ? (size_t)(semicolon - piece) : *n;
    size_t used = semicolon ? len + 1 : len;
    *text += used;
    *n -= used;
    const char *equals = memchr(piece, '=', len);
    if (!equals || has_control(piece, len)) continue;
    size_t name_len = (size_t)(equals - piece);
    *cookie = (HttpCookie){piece, equals + 1, name_len, len - name_len - 1};
    trim(&cookie->name, &cookie->name_len);
    trim(&cookie->value, &cookie->value_len);
    if (cookie->name_len) return true;
  }
  return false;
}
