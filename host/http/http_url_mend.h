/* Brings URLs that people and servers write into the normal form that http_url_parse takes, where
   all readers agree on what they mean (RFC 3986; the URL standard); the others are refused. Nothing
   here allocates. */
#ifndef ML_HTTP_URL_MEND_H
#define ML_HTTP_URL_MEND_H

#include <stddef.h>

/* The memory that http_url_mend needs for a URL of `len` bytes. */
#define HTTP_URL_MEND_SIZE(len) (4 * (len) + 64)

/* What http_url_mend has made of a URL; its texts are in the memory it was given. */
typedef struct HttpUrlMend {
  char *text;                       /* the URL in normal form, without user and password */
  char *credentials;                /* "user:password", decoded */
  size_t text_len, credentials_len; /* the second is 0 if it has none */
  size_t scheme_len; /* of the URL as it was, if its scheme is neither http nor https; or 0 */
} HttpUrlMend;

/* Mends `url[0..len)`, which may be any bytes: the scheme gets lower case; a user and password are
   taken out and decoded; in the host, percent-encoding is decoded and numbers are an address of
   IPv4; an empty port is left out; "." and ".." are resolved; blanks and what is not ASCII are
   percent-encoded. A host that is not ASCII has to be replaced before (idna.h).
   Returns NULL, or what is wrong with it in words, a constant. */
const char *http_url_mend(const char *url, size_t len, char *memory, HttpUrlMend *mend);

#endif
