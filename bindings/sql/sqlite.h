/* What the files of moonloop.sql.sqlite share. */
#ifndef ML_SQLITE_H
#define ML_SQLITE_H

#include "sql/sql_text.h"
#include "sql/sqlite/sqlite_pool.h"

#include <lauxlib.h>
#include <lua.h>

#define SQLITE_POOL_CLASS "moonloop.sql.sqlite.db"
#define SQLITE_LEASE_CLASS "moonloop.sql.sqlite.conn"

/* A pool. Its user values: its statements by their text, the guard, a table that is Lua's. */
typedef struct SqlitePoolObject {
  SqlitePool *pool;
  SqliteJob *delivering; /* its results are being pushed: left here where memory ran out */
  unsigned statements;   /* that are kept */
  bool guarded;
  bool inline_reads;
  double slow;              /* seconds */
  bool nulls, time_as_text; /* options */
} SqlitePoolObject;
enum { SQLITE_KEEPS_STATEMENTS = 1, SQLITE_KEEPS_GUARD, SQLITE_KEEPS_TABLE };

/* A lease. User value 1: the pool. */
typedef struct SqliteLeaseObject {
  SqlitePoolObject *of;
  SqliteLease *lease; /* NULL: given back */
} SqliteLeaseObject;

/* A statement's text as it was scanned, and what its last rows were like. User values: the names of
   the parameters, and the rows' class with the names of the columns. */
typedef struct SqliteText {
  SqlText text;
  SqliteStatement *statement;
  SqliteShape *shape;  /* of the class, or NULL */
  unsigned char *uses; /* a SqliteListUse a parameter */
  bool lists;          /* some are only for lists */
  bool control;        /* BEGIN, COMMIT and the like */
} SqliteText;
enum { SQLITE_KEEPS_NAMES = 1, SQLITE_KEEPS_SHAPE };

/* What a statement is run on. */
typedef struct SqliteTarget {
  SqlitePoolObject *of;
  SqliteLease *lease; /* NULL: any connection of the pool */
} SqliteTarget;

/* --- sqlite.c --- */

/* The pool or connection at 1, which `method` is called on. Asks the guard. */
SqliteTarget sqlite_target(lua_State *L, const char *method);

/* The job runs its statement: observers are told, until sqlite_observed or its end. */
void sqlite_observe(SqliteJob *job);

/* What came of it: it is back, or given up. */
void sqlite_observed(SqliteJob *job);

/* --- sqlite_text.c --- */

void sqlite_text_open(lua_State *L);

/* Pushes the statement whose text is at `index`, and returns it. Raises what is wrong with it. */
SqliteText *sqlite_text_push(lua_State *L, const SqliteTarget *target, int index);

/* The same for a script of several statements. NULL: pushed nil and an error. */
SqliteText *sqlite_text_push_script(lua_State *L, const SqliteTarget *target, int index);

/* --- sqlite_parameters.c --- */

/* Adds the parameters from the stack, `first` on, or from the list or table at `index`, to the job.
   `text_at`: where the statement is on the stack. They raise for what cannot be a parameter; then
   the job is released. */
void sqlite_parameters_add(lua_State *L, SqliteJob *job, const SqliteText *text, int text_at,
                           int first);
void sqlite_parameters_add_set(lua_State *L, SqliteJob *job, const SqliteText *text, int text_at,
                               int index, lua_Integer number);

/* --- sqlite_result.c --- */

/* Pushes nil and the error object of the job that has failed; returns 2. */
int sqlite_result_push_error(lua_State *L, const SqliteJob *job, const SqliteText *text);

/* The same for one that was given up. */
int sqlite_result_push_given_up(lua_State *L, const SqliteJob *job);

/* Is it given up, and its thread's still? */
static inline bool sqlite_result_is_given_up(const SqliteJob *job) {
  return job->given_up && job->state != SQLITE_JOB_BACK;
}

/* Pushes the names of the job's columns' table, the rows' class in it at 0, for the statement at
   `text_at`. */
void sqlite_result_push_shape(lua_State *L, const SqliteJob *job, int text_at);

/* Pushes all rows; a list with room for them; the next one; the first value of the next one.
   `shape_at`: what push_shape pushed. */
void sqlite_result_push_rows(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job,
                             int shape_at);
void sqlite_result_push_list(lua_State *L, const SqliteJob *job, int shape_at);
const char *sqlite_result_push_row(lua_State *L, const SqlitePoolObject *of,
                                   const SqliteShape *shape, const char *at, int shape_at);
const char *sqlite_result_push_value(lua_State *L, const SqlitePoolObject *of,
                                     SqliteConversion conversion, const char *at);

/* --- sqlite_rows.c --- */

/* Bytes of a result from which on steps are worth it; fewer take some milliseconds. */
#define SQLITE_ROWS_LONG (128 << 10)

/* Pushes all rows of a long result, and suspends now and then; returns 1. The job is over, and the
   pool has it back. */
int sqlite_rows_push(lua_State *L, SqlitePoolObject *of, SqliteJob *job, int shape_at);

/* --- sqlite_call.c, sqlite_stream.c, sqlite_lease.c: functions of Lua's --- */

int sqlite_call_query(lua_State *L);
int sqlite_call_one(lua_State *L);
int sqlite_call_value(lua_State *L);
int sqlite_call_exec(lua_State *L);
int sqlite_call_batch(lua_State *L);
int sqlite_call_simple(lua_State *L);
int sqlite_stream_rows(lua_State *L);
void sqlite_stream_open(lua_State *L);
int sqlite_lease_take(lua_State *L);
void sqlite_lease_open(lua_State *L);

/* Pushes nil and an error: the task has what it would wait for. Returns 2. */
int sqlite_lease_push_refusal(lua_State *L, const SqlitePool *pool, bool reads);

/* The results of a job are being pushed, or have been: then its slot is given back. */
void sqlite_deliver(SqlitePoolObject *of, SqliteJob *job);
void sqlite_delivered(SqlitePoolObject *of, SqliteJob *job);

/* The statement, in one line, for people. */
void sqlite_describe(const Task *task, const void *op, char *text, size_t size);

#endif
