/* Looks up host names: getaddrinfo on threads that nobody has to wait for. libuv's own look-up
   cannot be abandoned: a closing runtime would wait for it for as long as a name server is silent.

   A runtime looks up at most LOOKUP_MOST names at a time; others wait in line. An abandoned look-up
   still counts until the name server answers or getaddrinfo gives up, so a silent server cannot
   fill the process with threads and sockets. Equal names are looked up once. */
#ifndef ML_LOOKUP_H
#define ML_LOOKUP_H

#include "core/runtime.h"
#include <netdb.h>

enum { LOOKUP_MOST = 32 };

typedef struct Lookup Lookup;

/* `status` 0 and the addresses, without a port, which live until it returns; or a libuv error and
   NULL. The look-up is over. */
typedef void LookedUp(void *data, int status, const struct addrinfo *found);

/* Starts to look `host` up; `done` is called once, from the loop, unless it is cancelled before.
   Returns 0 or a libuv error. It keeps the loop alive. */
int lookup_start(Runtime *rt, const char *host, LookedUp *done, void *data, Lookup **lookup);

/* Cancels it: it leaves the line at once. May be called even after the runtime's close hooks have
   run. */
void lookup_cancel(Lookup *lookup);

#endif
