/* What the files of moonloop.sql.pg share. */
#ifndef ML_PG_H
#define ML_PG_H

#include "sql/pg/pg_pool.h"
#include "sql/pg/pg_result.h"

#include <lauxlib.h>
#include <lua.h>

#define PG_POOL_CLASS "moonloop.sql.pg.db"
#define PG_LEASE_CLASS "moonloop.sql.pg.conn"
#define PG_STATEMENT_CLASS "moonloop.sql.pg.statement"

/* A pool. Its user values: its statements by their text (and the texts by slot), the guard, a table
   that is Lua's. */
typedef struct PgPoolObject {
  PgPool *pool;
  bool guarded;
} PgPoolObject;
enum { PG_KEEPS_STATEMENTS = 1, PG_KEEPS_GUARD, PG_KEEPS_TABLE, PG_POOL_VALUES = PG_KEEPS_TABLE };

/* A leased connection. User value 1: its pool. */
typedef struct PgLease {
  PgPool *pool;
  PgConnection *connection; /* NULL: given back */
  struct PgStream *stream;  /* rows that are open, and need the connection; or NULL */
  bool in_copy;             /* COPY has it */
  uint64_t portals;
} PgLease;

/* A statement. Its user values: the shape, or nil; the text; the list of its parameters' names. */
typedef struct PgStatementObject {
  PgStatement statement;
  PgPool *pool;
  bool has_shape;
} PgStatementObject;
enum { PG_KEEPS_SHAPE = 1, PG_KEEPS_TEXT, PG_KEEPS_NAMES, PG_STATEMENT_VALUES = PG_KEEPS_NAMES };

/* What a statement is run on. */
typedef struct PgTarget {
  PgPool *pool;
  PgLease *lease; /* NULL: any connection of the pool */
} PgTarget;

/* The stack of a statement's function: the object, the statement (in place of its text), its
   parameters, and above them what each call has: the shape. */
enum { PG_SELF = 1, PG_STATEMENT = 2, PG_FIRST = 3 };

/* --- pg.c --- */

/* The pool or connection at 1, which `method` is called on. Asks the guard. */
PgTarget pg_target(lua_State *L, const char *method);

/* The connection at 1, which has not been given back. */
PgLease *pg_check_lease(lua_State *L, const char *method);

/* A call on the target: nothing is in it yet. Raises where memory is out, or the pool is closed. */
PgCall *pg_new_call(lua_State *L, const PgTarget *target);

/* Pushes nil and the error of a call that has failed; returns 2. The text is that of the statement
   at PG_STATEMENT, where there is one. */
int pg_push_failure(lua_State *L, const PgCall *call);

/* The call runs the statement at PG_STATEMENT, or a part of that: observers are told, until
   pg_observed or the end of the call. */
void pg_observe(PgCall *call, const char *sql, size_t len);

/* The statement of a call that has been delivered goes on with another call, by this task: what
   observers are told of it goes on there, or ends where the task is cancelled, and cannot wait. */
void pg_hand_over(lua_State *L, PgCall *call);

/* What came of it; `call->reply` is there unless it has failed. */
void pg_observed(PgCall *call);

/* The results of a call are being pushed, or have been: then its slot is given back. */
void pg_deliver(lua_State *L, PgCall *call);
void pg_delivered(PgCall *call);

/* Of WaitTypes whose `op` is a PgCall. */
void pg_cancel_wait(Task *task, void *op);
void pg_describe_wait(const Task *task, const void *op, char *text, size_t size);

/* Raises a memory error; the call is given back. */
void pg_no_memory(lua_State *L, PgCall *call);

/* The text of the statement at PG_STATEMENT, or of the string there. */
const char *pg_sql(lua_State *L, size_t *len);

/* --- pg_prepare.c --- */

void pg_prepare_open(lua_State *L);

/* Replaces the text at PG_STATEMENT by its statement. Raises what is wrong with it. */
PgStatement *pg_prepare_find(lua_State *L, const PgTarget *target);

/* Forgets what is known of the statement at PG_STATEMENT: it is to be asked for again. */
void pg_prepare_forget(lua_State *L, PgPool *pool);

/* Is its shape known? */
bool pg_prepare_has_shape(lua_State *L);

/* The shape of the statement at PG_STATEMENT is pushed, and returned; nil and NULL: it is not
   known. */
const PgShape *pg_prepare_push_shape(lua_State *L);

/* Asks the server for the shape, then calls `then`, for a task that waits for the rest: its results
   are the function's. The parameters stay on the stack. Where there is none: nil and the error, or
   what `otherwise` makes of them, which are on the top. */
typedef int PgThen(lua_State *L, const PgTarget *target, unsigned mode);
int pg_prepare_describe(lua_State *L, const PgTarget *target, unsigned mode, PgThen *then,
                        lua_CFunction otherwise);

/* --- pg_parameters.c --- */

/* Checks the number of the parameters from PG_FIRST on, and their names; raises. */
void pg_parameters_check(lua_State *L, const PgStatement *statement);

/* Appends Bind for the portal "" or a number, with the parameters from PG_FIRST to `last`; or those
   of the list or table at `table`, if that is not 0. Raises for what cannot be one; then the call
   is released. `list` is of a batch. */
void pg_parameters_bind(lua_State *L, PgCall *call, const PgStatement *statement,
                        const PgShape *shape, uint64_t portal, int last, int table,
                        lua_Integer list);

/* --- pg_long_rows.c --- */

/* Is the reply to the call so long that steps are worth it? Others take some milliseconds. */
static inline bool pg_long_rows_is(const PgCall *call) {
  return call->reply.to - call->reply.from > 128 << 10;
}

/* Begins to push the rows of its reply, which it takes from the call; says in `of` what
   pg_result_push does. NULL: nil and the error are pushed. */
typedef struct PgLongRows PgLongRows;
PgLongRows *pg_long_rows_begin(lua_State *L, PgCall *call, PgResult *of);

/* Goes on, and suspends now and then. Returns the number of results, which are on the top. */
int pg_long_rows_go(lua_State *L, PgLongRows *rows);

/* --- pg_run.c --- */

int pg_run_query(lua_State *L);
int pg_run_one(lua_State *L);
int pg_run_value(lua_State *L);
int pg_run_exec(lua_State *L);
int pg_run_batch(lua_State *L);

/* conn:simple(sql) */
int pg_run_simple(lua_State *L);

/* --- pg_lease.c --- */

void pg_lease_open(lua_State *L);
int pg_lease_take(lua_State *L);

/* --- pg_rows.c --- */

void pg_rows_open(lua_State *L);
int pg_rows(lua_State *L);

/* --- pg_notes.c --- */

int pg_notes_listen(lua_State *L);
int pg_notes_next(lua_State *L);

/* --- pg_copy*.c --- */

void pg_copy_open(lua_State *L);
int pg_copy_in(lua_State *L);
int pg_copy_out(lua_State *L);

#endif
