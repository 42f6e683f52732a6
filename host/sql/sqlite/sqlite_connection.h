/* A connection to an SQLite database, for the thread that uses it: statements prepared once, jobs
   run. Nothing here knows of the loop. */
#ifndef ML_SQLITE_CONNECTION_H
#define ML_SQLITE_CONNECTION_H

#include "sql/sqlite/sqlite_job.h"
#include "sql/sqlite/sqlite_library.h"
#include <pthread.h>

/* Which database, and how. The same for all connections of a pool. */
typedef struct SqliteSettings {
  char *path;              /* malloced; ":memory:" for a database in memory */
  bool memory;             /* one connection has it all */
  int flags;               /* of sqlite3_open_v2: read-only, and so on */
  const char *synchronous; /* a constant: "normal" */
  bool prepare;            /* keep prepared statements */
  size_t max_result;       /* bytes; SIZE_MAX: no limit */
} SqliteSettings;

enum { SQLITE_PREPARED = 256 };

/* The code of a fault that is none of SQLite's: the result is larger than max_result. */
enum { SQLITE_CONNECTION_LARGE = -5 };

typedef struct SqlitePrepared {
  uint32_t id; /* of its statement; 0: this place is free */
  int reprepared;
  bool reads;
  unsigned parameters; /* that SQLite knows */
  int *numbers;        /* SQLite's number for $1, $2, ...; NULL: the same */
  sqlite3_stmt *stmt;
  SqliteStatement *statement;
  SqliteShape *shape;
} SqlitePrepared;

typedef struct SqliteConnection {
  const SqliteLibrary *lib;
  const SqliteSettings *settings;
  pthread_mutex_t *opening;   /* one connection of the pool is opened at a time */
  pthread_mutex_t *lock;      /* of the statements' shapes */
  const atomic_bool *closing; /* nothing is waited for any more */
  bool reader;
  uint64_t until;     /* uv_hrtime when what runs is broken off; no lock is waited for */
  sqlite3 *db;        /* NULL: not open */
  SqliteJob *current; /* that runs */
  SqliteJob *group;   /* for those it would begin a transaction */
  SqliteJob *streams; /* that are open */
  bool lost;          /* the holder's transaction: SQLite has rolled it back */
  char lost_by[200];  /* the error with which it did */
  SqlitePrepared begin, begin_immediate, commit, rollback;
  SqlitePrepared prepared[SQLITE_PREPARED];
} SqliteConnection;

/* Opens it if it is not open. False: job->fault says why not. */
bool sqlite_connection_open(SqliteConnection *c, SqliteJob *job);

/* Closes it, with its streams. */
void sqlite_connection_close(SqliteConnection *c);

/* Runs the job by itself, whatever its verb. */
void sqlite_connection_run(SqliteConnection *c, SqliteJob *job);

/* Runs the job as sqlite_connection_run does, inside of a transaction that the caller has begun. */
void sqlite_connection_run_inside(SqliteConnection *c, SqliteJob *job);

/* BEGIN, BEGIN IMMEDIATE, COMMIT, ROLLBACK: SQLITE_OK or an extended code. `begin`: reads only. */
int sqlite_connection_begin(SqliteConnection *c);
int sqlite_connection_begin_immediate(SqliteConnection *c);
int sqlite_connection_commit(SqliteConnection *c);
void sqlite_connection_rollback(SqliteConnection *c);

static inline bool sqlite_connection_in_transaction(const SqliteConnection *c) {
  return c->db && !c->lib->get_autocommit(c->db);
}

/* What SQLite says of its last error becomes the job's fault. */
void sqlite_connection_fail(const SqliteConnection *c, SqliteJob *job, int code);

/* The results that a job has so far are dropped: it is run again. */
void sqlite_connection_forget(SqliteJob *job);

/* --- between the files of the connection --- */

/* The job has failed; `own`: the message is ours. */
void sqlite_connection_set_fault(SqliteJob *job, int code, const char *message);
void sqlite_connection_set_own_fault(SqliteJob *job, int code, const char *message);

void sqlite_connection_unprepare(const SqliteConnection *c, SqlitePrepared *p);

/* Prepares one statement of `*sql`, which then is what follows it. p->stmt is NULL where there is
   none. False: the job has the fault. */
bool sqlite_connection_prepare_text(SqliteConnection *c, SqlitePrepared *p, const char **sql,
                                    size_t len, unsigned flags, SqliteJob *job);

/* Prepares the job's statement. */
bool sqlite_connection_prepare(SqliteConnection *c, SqlitePrepared *p, unsigned flags,
                               SqliteJob *job);

/* The job's statement, prepared once. NULL: the job has the fault, or there is no statement. */
SqlitePrepared *sqlite_connection_find(SqliteConnection *c, SqliteJob *job);

/* Binds the next list of parameters, and steps over it. */
bool sqlite_connection_bind_all(SqliteConnection *c, SqlitePrepared *p, const char **at,
                                SqliteJob *job);

/* Steps until there are no more rows, or as many as are wanted, or `bytes` of them; or they are too
   large: SQLITE_CONNECTION_LARGE. */
int sqlite_connection_step_rows(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job,
                                size_t bytes);

/* Steps to the end, without parameters and results. */
bool sqlite_connection_simple_step(SqliteConnection *c, SqlitePrepared *p, SqliteJob *job);
bool sqlite_connection_execute(SqliteConnection *c, const char *sql, SqliteJob *job);

void sqlite_connection_close_streams(SqliteConnection *c);

#endif
