/* What observers (observe.h) are told of requests. */
#ifndef ML_HTTP_OBSERVED_H
#define ML_HTTP_OBSERVED_H

#include "http/server/http_connection.h"

/* The handler of the current request has been started. Kept out of the way of a server that nobody
   observes, as is the next one. */
void http_observed_begin(HttpConnection *c);

/* The current request was answered without a handler. `route`: its route, or NULL. */
void http_observed_at_once(HttpConnection *c, const Route *route);

/* The current request is over, or has become another protocol's. */
void http_observed_end(HttpConnection *c);

#endif
