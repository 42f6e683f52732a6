/* The ways in which a connection ends; http_connection_abort and http_connection_break are others.
   It is freed when its socket is closed and no handler runs. */
#ifndef ML_HTTP_CLOSE_H
#define ML_HTTP_CLOSE_H

#include "http_connection.h"

/* Closes the socket at once; a handler that runs goes on. */
void http_close(HttpConnection *c);

/* Everything is written. A client that may still be sending would lose the response to a reset if
   the socket were closed now (RFC 9112 section 9.6): shuts our side and waits for its end. */
void http_close_finish(HttpConnection *c);

/* Cancels the handler, if one runs that has not been told before. */
void http_close_cancel_handler(HttpConnection *c, const char *why);

/* Frees the connection if neither socket nor handler needs it any more. */
void http_close_release(HttpConnection *c);

#endif
