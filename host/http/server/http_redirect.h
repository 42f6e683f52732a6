/* Clients of a socket that only sends them to https: `serve --redirect-https`. */
#ifndef ML_HTTP_REDIRECT_H
#define ML_HTTP_REDIRECT_H

#include "http/server/http_connection.h"

/* Answers the current request with a 308 to the same host, path and query by https, at the port of
   the server's first socket for TLS (443 if it has none); with a 400 if there is no host. */
void http_redirect_answer(HttpConnection *c);

#endif
