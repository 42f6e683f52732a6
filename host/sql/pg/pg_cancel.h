/* Cancels: a CancelRequest goes to the server on a connection of its own, whose end is awaited:
   from then on the signal has been sent, and what is sent later cannot be hit by it. */
#ifndef ML_PG_CANCEL_H
#define ML_PG_CANCEL_H

#include "sql/pg/pg_connection.h"

/* Starts one. `done(data)` is called from the loop when its end has come. NULL when memory or
   threads are out. The key is freed after that, if it was given up meanwhile. */
PgCancel *pg_cancel_start(Runtime *rt, PGcancel *key, void (*done)(void *data), void *data);

/* Nobody waits for its end: it takes the key over. */
void pg_cancel_abandon(PgCancel *cancel);

#endif
