/* Splits absolute http:// and https:// URLs (RFC 3986, RFC 9110 section 4.2) for the HTTP client.
   Nothing here allocates. */
#ifndef ML_HTTP_URL_H
#define ML_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_URL_MAX_HOST = 255 };

/* The parts point into the URL. */
typedef struct HttpUrl {
  const char *host;   /* an IPv6 address is without its brackets; its zone is behind a "%25" */
  const char *target; /* path and query; "", or beginning with "?", if the path is empty */
  size_t host_len, target_len;
  uint16_t port;
  bool is_ipv6; /* the host was in brackets */
  bool is_https;
} HttpUrl;

/* Splits `url[0..len)`. False for anything that is not clearly a URL in normal form: another
   scheme, a user or password, characters that have to be encoded, dot segments, port 0 or an empty
   port. */
bool http_url_parse(const char *url, size_t len, HttpUrl *parts);

/* Could `target[0..len)` follow the '/' of such a URL, up to its end? */
bool http_url_is_plain_target(const char *target, size_t len);

#endif
