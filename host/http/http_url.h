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
   scheme, a user or password, characters that have to be encoded, backslashes, dot segments, port
   0 or an empty port, a host of numbers that is not four of them, brackets without an address.
   Those that can be mended are by http_url_mend.h. */
bool http_url_parse(const char *url, size_t len, HttpUrl *parts);

/* 1 for a segment of a path, up to `end`, a '/' or a '?', that is ".", 2 for ".."; its dots may be
   percent-encoded. 0 for others. */
size_t http_url_dots(const char *segment, const char *end);

/* Does the host `host[0..len)` end in a number, so that it can only be an address of IPv4 (the URL
   standard)? */
bool http_url_is_number(const char *host, size_t len);

/* Is `host[0..len)`, which was in brackets, an address of IPv6, perhaps with a zone behind "%25"
   (RFC 6874) or a bare '%'? The bytes of the zone are not looked at. */
bool http_url_is_ipv6(const char *host, size_t len);

/* Could `target[0..len)` follow the '/' of such a URL, up to its end? */
bool http_url_is_plain_target(const char *target, size_t len);

#endif
