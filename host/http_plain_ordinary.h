/* Reading the most common responses in one pass, without llhttp. */
#ifndef ML_HTTP_PLAIN_ORDINARY_H
#define ML_HTTP_PLAIN_ORDINARY_H

#include "http_plain_response.h"

/* Reads a response, of which nothing was read so far, where `n` bytes are all of it, its body is in
   one piece, and nothing about it needs a closer look: HTTP/1.1, a Content-Length, no coding, a
   connection that stays. It is complete then, as llhttp would have read it, for a fifth of the
   cost. False: nothing has been done. */
bool plain_response_read_ordinary(PlainResponse *r, const char *bytes, size_t n);

#endif
