/* Connecting to a host: looks its name up and tries its addresses in turn, a new one whenever one
   has failed or has taken a quarter of a second, until the first answers (RFC 8305). */
#ifndef ML_HTTP_DIAL_H
#define ML_HTTP_DIAL_H

#include "runtime.h"

#define HTTP_DIAL_SECONDS 10 /* for all of it */

typedef struct HttpDial HttpDial;

/* Where to connect to. */
typedef struct HttpEndpoint {
  const char *host; /* a name or an address */
  uint16_t port;
  const char *unix_path; /* or NULL; then the two above do not matter */
} HttpEndpoint;

/* How dialing ended: a descriptor from 0 on, which is the caller's; or a libuv error, UV_EAI_*
   where the name could not be looked up, UV_ETIMEDOUT where the time was over. */
typedef void HttpDialed(void *data, int result);

/* What http_dial_start returns when `done` is still to be called. */
#define HTTP_DIALING (-1000000)

/* Starts to connect. Returns HTTP_DIALING: then `done` is called once, from the loop, with the
   result, and `*dial` is gone; or the result at once. The strings of `endpoint` must live until
   then. */
int http_dial_start(Runtime *rt, const HttpEndpoint *endpoint, HttpDialed *done, void *data,
                    HttpDial **dial);

/* Breaks it off: `done` is not called. A look-up that cannot be stopped ends unheard. */
void http_dial_cancel(HttpDial *dial);

#endif
