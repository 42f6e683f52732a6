/* Reads the most common responses in one pass, without llhttp. */
#ifndef ML_CLIENT_RESPONSE_ORDINARY_H
#define ML_CLIENT_RESPONSE_ORDINARY_H

#include "http/client/client_response.h"

/* Reads a response of which nothing was read so far, if the `n` bytes are all of it, its body is in
   one piece, and nothing about it needs a closer look: HTTP/1.1, a Content-Length, no coding, a
   connection that stays open. It is then complete, as llhttp would have read it, for a fifth of the
   cost. False: nothing has been done. */
bool client_response_ordinary_read(ClientResponse *r, const char *bytes, size_t n);

#endif
