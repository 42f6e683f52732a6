/* The lists in which libpq is told hosts: of their names, addresses and ports, each with commas
   between. */
#ifndef ML_PG_HOSTS_H
#define ML_PG_HOSTS_H

#include "base/buffer.h"

/* Texts of the same length, or all zero: there are none. */
typedef struct PgHosts {
  Buffer names, addresses, ports;
} PgHosts;

/* libpq's own, of which "" is none, and of ports one may be for all. */
typedef struct PgHostLists {
  const char *names, *addresses, *ports;
} PgHostLists;

/* Where libpq is, in its words, and which addresses of the name it has tried: a list, the last is
   where it is now; "" where it is none of a network. */
typedef struct PgHostPlace {
  const char *name, *port, *tried;
} PgHostPlace;

/* Sets `left` to the lists without the place: in place of a name come its other addresses, which
   the thread waits for. False: nothing is left. `left` is to be freed in both cases. */
bool pg_hosts_leave(PgHosts *left, const PgHostLists *lists, const PgHostPlace *place);

void pg_hosts_free(PgHosts *hosts);

#endif
