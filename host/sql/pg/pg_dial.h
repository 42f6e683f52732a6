/* libpq's connecting, step by step, on a thread: it ends at its time, whatever a server sends. */
#ifndef ML_PG_DIAL_H
#define ML_PG_DIAL_H

#include "sql/pg/pg_library.h"
#include "sql/pg/pg_thread.h"

/* Connects to the first of the URL's hosts that takes it, each of their addresses with
   connect_timeout seconds. Notices of servers are dropped. It ends, too, when the call is
   abandoned. Returns a connection at rest, or NULL: then `why` has what went wrong, which may be of
   several lines. */
PGconn *pg_dial(const PgLibrary *pq, PgThread *call, const char *url, char why[1024]);

#endif
