/* COPY of moonloop.sql.pg: what pg_copy_in.c and pg_copy_out.c share. */
#ifndef ML_PG_COPY_H
#define ML_PG_COPY_H

#include "bindings/sql/pg.h"

#define PG_COPY_CLASS "moonloop.sql.pg.copy"

/* A COPY that is under way, in either direction. User values: the connection's object, the text. */
typedef struct PgCopy {
  PgLease *lease;               /* NULL: it is over */
  PgCall *rest;                 /* of COPY FROM: its reply up to the end; or NULL */
  struct Observation *observed; /* from its beginning to its end; or NULL */
  int64_t rows;                 /* of COPY TO: they have been read */
  bool out;
} PgCopy;

/* Its connection, or NULL: it is over. */
PgConnection *pg_copy_connection(const PgCopy *copy);

/* A call that takes what comes next on the connection, at once; one that has failed where the
   connection is lost. NULL when memory is out. */
PgCall *pg_copy_expect(PgConnection *c, PgUntil until);

/* Nobody wants the rest: COPY FROM is told to fail, COPY TO is cancelled. */
void pg_copy_leave(PgCopy *copy);

/* The reply is an error: pushes nil and that. */
bool pg_copy_push_error(lua_State *L, const PgCall *call);

/* It has begun: what observers are told goes on after the call. */
void pg_copy_keep_observed(PgCopy *copy, PgCall *call);

/* It is over, or has failed: observers are told what the call says of it. */
void pg_copy_observed(PgCopy *copy, PgCall *call);

/* Has COPY begun, in this direction: 'G' is in, 'H' is out? */
bool pg_copy_has_begun(const PgCall *call, char type);

/* Sends the statement at 2 on the connection at 1, and pushes the PgCopy. Suspends: `type` is what
   finishes. */
int pg_copy_begin(lua_State *L, const char *method, bool out, const WaitType *type);

#endif
