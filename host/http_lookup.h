/* Looking a host name up: getaddrinfo on a thread of its own, which nobody has to wait for. libuv's
   own cannot be left behind: a runtime that closes would wait for it, for as long as a name server
   is silent. */
#ifndef ML_HTTP_LOOKUP_H
#define ML_HTTP_LOOKUP_H

#include <netdb.h>
#include <stdint.h>
#include <uv.h>

typedef struct HttpLookup HttpLookup;

/* `status` 0 and the addresses, which live until it returns; or a libuv error and NULL. The look-up
   is over. */
typedef void HttpLookedUp(void *data, int status, const struct addrinfo *found);

/* Starts to look `host` up; `done` is called once, from the loop, unless it is cancelled before.
   Returns 0 or a libuv error. */
int http_lookup_start(uv_loop_t *loop, const char *host, uint16_t port, HttpLookedUp *done,
                      void *data, HttpLookup **lookup);

/* Breaks it off. */
void http_lookup_cancel(HttpLookup *lookup);

#endif
