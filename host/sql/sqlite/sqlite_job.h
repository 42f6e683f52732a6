/* What a thread is asked to do, and what came of it. A job belongs to the loop until it is handed
   over, to the thread until it comes back. */
#ifndef ML_SQLITE_JOB_H
#define ML_SQLITE_JOB_H

#include "base/buffer.h"
#include "core/runtime.h"
#include "sql/sqlite/sqlite_statement.h"

typedef enum SqliteVerb {
  SQLITE_RUN,      /* the statement, with its parameters */
  SQLITE_BATCH,    /* the same with `sets` lists of parameters, all or nothing */
  SQLITE_SIMPLE,   /* several statements, without parameters or rows */
  SQLITE_STREAM,   /* the statement's rows, some at a time: run again for more of them */
  SQLITE_UNSTREAM, /* no more rows of the stream are wanted */
  SQLITE_RESET,    /* ends what the connection's holder has left open */
  SQLITE_REOPEN,   /* closes the connection; the next job opens it anew */
  SQLITE_LEASE     /* waits for a connection: never handed over */
} SqliteVerb;

typedef enum SqliteJobState {
  SQLITE_JOB_NEW,
  SQLITE_JOB_LINED,   /* waits for a connection */
  SQLITE_JOB_PENDING, /* is handed over at the end of this pass */
  SQLITE_JOB_HANDED,  /* is the thread's */
  SQLITE_JOB_BACK
} SqliteJobState;

typedef struct SqliteFault {
  int code;         /* SQLite's extended code; 0: none */
  int system_error; /* errno, where SQLite had one */
  int offset;       /* into the statement, in bytes; -1: unknown */
  long set;         /* of a batch: which list, from 1; 0: none */
  bool in_prepare;  /* it never ran */
  bool is_own;      /* the message is ours: no result of SQLite's */
  char *message;    /* malloced, or NULL: memory was out */
} SqliteFault;

typedef struct SqliteJob {
  struct SqliteJob *next;                     /* in a list */
  struct SqliteJob *flies_next, **flies_link; /* among those whose time runs; the loop's */
  struct SqlitePool *pool;
  struct SqliteLease *lease;   /* whose connection it is for, or NULL */
  struct SqliteThread *thread; /* that has it, or had it */
  Waker waker;
  uint64_t since, due; /* of the runtime's clock */
  uint64_t handed_at;  /* uv_hrtime; 0: it was not, in this turn */
  uint8_t state;       /* a SqliteJobState; the loop's */
  bool awaited;        /* somebody will be woken */
  bool owned;          /* and will release or abandon it */
  bool expired;        /* its time is over */
  bool given_up;       /* and it has not come back for long */
  bool reads;          /* it waits for a reader, not for the writer */
  uint8_t verb;

  atomic_bool stop; /* nobody wants it any more: from the loop to the thread */

  SqliteStatement *statement;
  Buffer parameters; /* cells */
  unsigned sets;
  unsigned limit; /* rows that are wanted at most; 0: all */

  /* what came of it */
  Buffer cells; /* of the rows */
  size_t rows;
  SqliteShape *shape; /* NULL: no columns */
  int64_t changes;
  SqliteFault fault;
  bool ran;                       /* it was begun */
  bool bounces;                   /* may do so, although it is a lease's */
  bool bounced;                   /* it changes something: not for a reader */
  bool more;                      /* of the stream */
  bool in_transaction;            /* is the connection, after it */
  bool lost;                      /* it was in one, which SQLite has rolled back */
  uint64_t done_at;               /* uv_hrtime when the thread was done with it */
  void *open;                     /* the stream's sqlite3_stmt; the thread's */
  struct SqliteJob *streams_next; /* of the connection; the thread's */

  struct Observation *observed; /* of the statement (sql_observed.h), or NULL; the loop's */
  void *data;                   /* the binding's */
} SqliteJob;

/* Jobs in the order they came. */
typedef struct SqliteJobs {
  SqliteJob *first, *last;
} SqliteJobs;

static inline void sqlite_job_add(SqliteJobs *jobs, SqliteJob *job) {
  job->next = NULL;
  if (jobs->last)
    jobs->last->next = job;
  else
    jobs->first = job;
  jobs->last = job;
}

static inline SqliteJob *sqlite_job_take(SqliteJobs *jobs) {
  SqliteJob *job = jobs->first;
  if (!job) return NULL;
  jobs->first = job->next;
  if (!jobs->first) jobs->last = NULL;
  job->next = NULL;
  return job;
}

/* Moves all of `from` behind those of `to`. */
static inline void sqlite_job_move(SqliteJobs *to, SqliteJobs *from) {
  if (!from->first) return;
  if (to->last)
    to->last->next = from->first;
  else
    to->first = from->first;
  to->last = from->last;
  from->first = from->last = NULL;
}

/* Takes one out of the middle, if it is there. */
static inline void sqlite_job_remove(SqliteJobs *jobs, SqliteJob *job) {
  SqliteJob *before = NULL;
  for (SqliteJob *each = jobs->first; each; before = each, each = each->next) {
    if (each != job) continue;
    if (before)
      before->next = job->next;
    else
      jobs->first = job->next;
    if (jobs->last == job) jobs->last = before;
    job->next = NULL;
    return;
  }
}

#endif
