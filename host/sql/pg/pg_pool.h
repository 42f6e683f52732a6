/* Pools of connections, and the line of those who wait for one.

   What tasks ask for in a pass of the loop is given to connections at its end, and each of these
   writes once. A statement goes to an idle connection; where there is none, and no more may be
   opened, behind others on the one with the fewest. Who wants a connection for itself, or has a
   statement that nothing may follow, has one kept free.

   Everything belongs to one runtime and its thread. Nothing here enters Lua. */
#ifndef ML_PG_POOL_H
#define ML_PG_POOL_H

#include "core/pool_source.h"
#include "sql/pg/pg_connection.h"

/* The options of ml.sql.open. */
typedef struct PgSettings {
  char *url, *label; /* label: the URL without its password */
  unsigned size;
  double acquire, timeout, slow; /* seconds; HUGE_VAL is none */
  size_t max_result;             /* bytes; SIZE_MAX is none */
  bool prepare, pipeline;
  PgTypeOptions types;
} PgSettings;

typedef struct PgPools PgPools;

struct PgPool {
  PgPools *all;
  PgPool *next, **place;
  Runtime *rt;
  PgSettings settings;
  PgConnection **connections;
  unsigned count, cap, connecting;
  unsigned extra, extra_connecting; /* beside settings.size, counted in `count`, `connecting` */
  unsigned turn;                    /* who is asked first */
  PgCalls line;                     /* of those who wait */
  PassHook pass;
  PoolSource source;
  Timer acquire;    /* the first in line has waited too long */
  uint64_t overdue; /* when it had, if the loop is to look once more for a connection */
  Timer retry;      /* another connection may be tried */
  bool is_held;     /* the line keeps the loop alive */
  bool is_closed;
  char why_kind[16], why_code[16], why[512]; /* why the last connection was not made */
  PgStatements statements;
  PgConnection *dead, *older_dead; /* to be freed when those who were woken have run */
  PgCall *free_calls;
  struct Observation *handed; /* of a statement that was described, and is about to be run */
  PgCall *delivering;         /* its results are being pushed: left here where memory ran out */
  struct PgCallSlab *slabs;
  uint64_t connected, lost, cancels, sends, repeats; /* there have been */
};

/* How many there are, and of these how many are being made, beside the extra ones. */
static inline unsigned pg_pool_count(const PgPool *pool) { return pool->count - pool->extra; }
static inline unsigned pg_pool_connecting(const PgPool *pool) {
  return pool->connecting - pool->extra_connecting;
}

/* The pools of a runtime; NULL when memory or descriptors are out. */
PgPools *pg_pool_open_all(Runtime *rt);

/* A pool that connects at its first call. The texts of `settings` are copied. NULL when memory is
   out. */
PgPool *pg_pool_new(PgPools *all, const PgSettings *settings);

/* Closes it for good: whoever waits gets an error of kind "closed". */
void pg_pool_close(PgPool *pool);

/* The same, and frees it: nobody waits any more. */
void pg_pool_free(PgPool *pool);

/* Puts the call into the line of the pool, or of the connection it is for. */
void pg_pool_call(PgPool *pool, PgCall *call, Waker waker);

/* Whoever waited has gone. */
void pg_pool_abandon(PgCall *call);

/* The call is over and looked at. */
void pg_pool_release(PgCall *call);

/* The holder of the connection has gone. It is given to others when it is whole and in no
   transaction; else closed. */
void pg_pool_give_back(PgConnection *c);

/* There may be something to do: at the end of this pass. */
void pg_pool_wake(PgPool *pool);

/* --- pg_pool_line.c --- */

/* The line keeps the loop alive while somebody is in it. */
void pg_pool_hold_line(PgPool *pool);

/* Whoever is in it gets the error. */
void pg_pool_fail_line(PgPool *pool, const char *kind, const char *code, const char *text);

/* The first one waits for `acquire` seconds at most. */
void pg_pool_watch_line(PgPool *pool);

/* --- pg_pool_life.c --- */

/* Frees connections that are closed. */
void pg_pool_free_list(PgConnection **list);

/* --- pg_pool_pick.c --- */

/* One that is whole, and known to be there; or NULL. */
PgConnection *pg_pool_pick_idle(PgPool *pool, uint64_t now);

/* The one with the fewest statements in flight that one more may go behind; or NULL. */
PgConnection *pg_pool_pick_behind(PgPool *pool);

/* Keeps one free for who has to have it alone. */
void pg_pool_reserve(PgPool *pool);

/* --- what its connections tell it --- */

/* A call was hit by another's cancel: it is sent again. */
void pg_pool_again(PgPool *pool, PgCall *call);

/* It has been made. */
void pg_pool_opened(PgConnection *c);

/* It is closed; `was` it before that. */
void pg_pool_lost(PgConnection *c, PgState was);

/* It is whole, and has no holder. */
void pg_pool_settled(PgConnection *c);

#endif
