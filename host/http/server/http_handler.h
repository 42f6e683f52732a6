/* The handler of a connection's current request: a task whose body is the server's `handle`. */
#ifndef ML_HTTP_HANDLER_H
#define ML_HTTP_HANDLER_H

#include "http/server/http_connection.h"

/* Starts it on the next pass. When it has ended, the connection is told
   (http_connection_responded). False if memory is out. */
bool http_handler_start(HttpConnection *c);

/* Cancels it, since the client has gone. Without memory for the cause, it runs to its end. */
void http_handler_cancel(HttpConnection *c);

/* The connection of the handler `t`, or NULL. */
HttpConnection *http_handler_connection(const Task *t);

#endif
