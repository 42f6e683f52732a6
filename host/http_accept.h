/* What a client accepts (RFC 9110 section 12.5). */
#ifndef ML_HTTP_ACCEPT_H
#define ML_HTTP_ACCEPT_H

#include "content_coding.h"

/* Chooses between br, gzip and none for the value of Accept-Encoding: what the client prefers, and
   of what it likes alike br. False: the content is to be sent as it is; so it is also where the
   client refuses everything. What is malformed counts as not said. */
bool http_accept_coding(const char *value, size_t n, ContentCoding *coding);

#endif
