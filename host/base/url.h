/* Request targets: percent-decoding and query strings (RFC 3986, and the form encoding of the URL
   standard for queries). Nothing here allocates. */
#ifndef ML_URL_H
#define ML_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes %XX of `text[0..n)` into `out`, which has room for `n` bytes and may be `text` itself;
   with `plus`, '+' becomes a space. Returns the decoded length, or -1 where a '%' is not followed
   by two hexadecimal digits. */
long url_decode(char *out, const char *text, size_t n, bool plus);

/* Decodes a piece of a query, which is ASCII, as the URL standard does: '+' is a space, a '%' not
   followed by two hexadecimal digits stands for itself, and bytes that are not UTF-8 become U+FFFD.
   Returns the length, at most `n`, for which `out` has room. */
size_t url_decode_query(char *out, const char *text, size_t n);

/* Is every '%' of the text followed by two hexadecimal digits? */
bool url_percent_ok(const char *text, size_t n);

/* Is the decoded text UTF-8? The text is ASCII and its '%' are well formed. */
bool url_decodes_to_utf8(const char *text, size_t n);

/* One `name=value` of a query, still encoded. */
typedef struct UrlPair {
  const char *name, *value;
  size_t name_len, value_len;
} UrlPair;

/* Takes the next pair from `*query[0..*n)`; empty pieces are skipped, and a name without '=' has an
   empty value. False at the end. */
bool url_query_next(const char **query, size_t *n, UrlPair *pair);

#endif
