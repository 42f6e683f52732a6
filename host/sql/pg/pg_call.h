/* What somebody waits for: a statement, or another exchange with a server, or a connection for
   itself. The slots belong to the pool. */
#ifndef ML_PG_CALL_H
#define ML_PG_CALL_H

#include "base/buffer.h"
#include "core/runtime.h"
#include "sql/pg/pg_reader.h"
#include "sql/pg/pg_statement.h"

/* When the reply is complete. */
typedef enum PgUntil {
  PG_UNTIL_READY, /* ReadyForQuery */
  PG_UNTIL_PART,  /* the end of what one Execute gives, or COPY has begun; or ReadyForQuery */
  PG_UNTIL_ANY    /* whatever is there */
} PgUntil;

typedef struct PgCall {
  struct PgCall *next; /* in a line, or among the free ones */
  struct PgPool *pool;
  struct PgConnection *connection; /* that it is for, or has been sent on; or NULL */
  PgStatement *statement;          /* or NULL; the caller keeps both */
  const PgShape *shape;            /* of it, as `out` has it */
  uint64_t serial;                 /* its name in `out` */
  Waker waker;
  uint8_t until;
  bool is_lease;   /* nothing is sent: the connection itself is wanted */
  bool is_extra;   /* one beside those of the pool */
  bool is_named;   /* `out` names the prepared statement */
  bool is_alone;   /* nothing is sent behind it before it is over */
  bool may_repeat; /* where somebody else's cancel has hit it */
  bool is_simple;  /* Query: no Sync belongs to it */
  bool is_setup;   /* of a new connection */
  bool is_part;    /* some rows of many: each may be as large as a result */
  bool continues;  /* what is open-ended on its connection */
  bool parses;     /* Parse was sent before `out` */
  bool in_line;    /* has not been sent */
  bool in_flight;  /* has been, and its reply is not complete */
  bool owned;      /* somebody will release or abandon it */
  bool awaited;    /* and has not been woken */
  bool holds;      /* its connection is held for it */
  bool kept;       /* its reply is wanted, though nobody waits for it yet */
  bool at_risk;    /* a cancel of another call was under way when it was sent, or after that */
  bool unlimited;  /* has no time limit */
  bool has_error;  /* there is one in its reply */
  bool failed;     /* what follows says how, instead of a reply */
  bool unknown;    /* it was sent: whether it was done is not known */
  char kind[16], code[16];
  char *error;    /* malloced, or NULL: memory was out */
  Buffer out;     /* what is to be sent */
  uint64_t since; /* of the runtime's clock: it came, or was sent */
  unsigned repeats;
  unsigned statement_slot; /* of the Parse */
  PgSlice reply;
  struct Observation *observed; /* of the statement (sql_observed.h), or NULL */
  void *data;                   /* the caller's */
  unsigned mode;
} PgCall;

/* Calls in the order they came. */
typedef struct PgCalls {
  PgCall *first, *last;
  unsigned count;
} PgCalls;

static inline void pg_call_append(PgCalls *calls, PgCall *call) {
  call->next = NULL;
  if (calls->last)
    calls->last->next = call;
  else
    calls->first = call;
  calls->last = call;
  calls->count++;
}

static inline PgCall *pg_call_shift(PgCalls *calls) {
  PgCall *call = calls->first;
  calls->first = call->next;
  if (!calls->first) calls->last = NULL;
  calls->count--;
  call->next = NULL;
  return call;
}

/* Puts it before all others. */
void pg_call_unshift(PgCalls *calls, PgCall *call);

/* Takes it out, if it is there. */
void pg_call_remove(PgCalls *calls, PgCall *call);

/* A free slot, or NULL when memory is out; its buffer is empty. */
PgCall *pg_call_new(struct PgPool *pool);

/* Gives the slot back when nobody has it any more. */
void pg_call_drop(PgCall *call);

/* Frees the memory of all slots: nobody has one. */
void pg_call_free_all(struct PgPool *pool);

/* Ends it with an error, and wakes whoever waits. Its place in a line stays. */
void pg_call_fail(PgCall *call, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
