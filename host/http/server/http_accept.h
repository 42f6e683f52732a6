/* What a client accepts (RFC 9110 section 12.5). */
#ifndef ML_HTTP_ACCEPT_H
#define ML_HTTP_ACCEPT_H

#include "http/content_coding.h"

/* Chooses between br, gzip and no coding for the value of Accept-Encoding: the client's preference,
   or br if it has none. False: send the content as it is, even if the client refuses everything.
   Malformed elements are ignored. */
bool http_accept_coding(const char *value, size_t n, ContentCoding *coding);

#endif
