/* The Cookie header (RFC 6265 section 4.2, and draft-ietf-httpbis-rfc6265bis section 4.2). Nothing
   here allocates. */
#ifndef ML_HTTP_COOKIE_H
#define ML_HTTP_COOKIE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HttpCookie {
  const char *name, *value;
  size_t name_len, value_len;
} HttpCookie;

/* Takes the next cookie from `*text[0..*n)`; several Cookie lines are joined with ';' beforehand.
   False at the end. Pieces that browsers would not send are skipped: those without '=' or without a
   name, and those with a control character. Quotes are part of the value (rfc6265bis section
   4.1.1), and nothing is decoded. */
bool http_cookie_next(const char **text, size_t *n, HttpCookie *cookie);

#endif
