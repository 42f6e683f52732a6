/* What observers (observe.h) are told of statements. */
#ifndef ML_SQL_OBSERVED_H
#define ML_SQL_OBSERVED_H

#include "core/observe.h"

/* A statement that the running task waits for: its observation, which the caller keeps until
   sql_observed_end; NULL: nobody observes. `system`, `pool`, `database` and the text as in
   ObservedSql. */
Observation *sql_observed_begin(Runtime *rt, const char *system, const void *pool,
                                const char *database, const char *sql, size_t len);

/* It is over: `*o` is NULL then. `error`: the kind of its error, "cancelled", or NULL. `rows`: -1
   if not known. Nothing for NULL. */
void sql_observed_end(Observation **o, const char *error, const char *code, int64_t rows);

/* The same where nobody waits for it any more. */
static inline void sql_observed_cancel(Observation **o) {
  if (*o) sql_observed_end(o, "cancelled", NULL, -1);
}

#endif
