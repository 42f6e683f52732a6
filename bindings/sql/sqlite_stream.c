/* moonloop.sql.sqlite: rows one by one.

   rows(pool or connection, sql, ...) -> iterator, state, nil, closing value
     For a generic for. The statement runs at the first row, some rows ahead of the loop and no
     more; it has a connection until its end. Errors are raised. */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/sql/sqlite.h"
#include "sql/sql_observed.h"
#include "sql/sql_slow.h"
#include "sql/sqlite/sqlite_fault.h"

#define STREAM_CLASS "moonloop.sql.sqlite.rows"

/* User values: what it is run on, the statement, its shape when there are rows, its SQL. */
typedef struct SqliteStream {
  SqlitePoolObject *of;
  SqliteLeaseObject *holder; /* whose connection it is, or NULL */
  SqliteLease *lease;        /* its own, or NULL */
  SqliteJob *job;            /* NULL: it is over */
  SqliteJob *leasing;        /* waits for a connection */
  const char *at;            /* the next row */
  size_t left;               /* of those that are here */
  bool begun, waiting, shaped;
  Observation *observed; /* from its first row to its end, or NULL */
  int64_t rows;
} SqliteStream;
enum { KEEPS_TARGET = 1, KEEPS_TEXT, KEEPS_SHAPE, KEEPS_SQL };

static void give_back(SqliteStream *s) {
  if (s->lease) sqlite_pool_give_back(s->lease, false);
  s->lease = NULL;
}

static void end(SqliteStream *s) {
  SqliteJob *job = s->job, *leasing = s->leasing;
  sql_observed_end(&s->observed, NULL, NULL, s->rows);
  s->job = s->leasing = NULL;
  s->left = 0;
  if (leasing) sqlite_pool_abandon(leasing);
  if (job) sqlite_pool_abandon(job);
  give_back(s);
}

/* --- waiting for rows --- */

static int next(lua_State *L, SqliteStream *s, Task *task);

static void cancel(Task *task, void *op) {
  (void)task;
  SqliteStream *s = op;
  s->waiting = false;
  sql_observed_cancel(&s->observed);
  end(s);
}

static void describe(const Task *task, const void *op, char *text, size_t size) {
  const SqliteStream *s = op;
  if (s->job) sqlite_describe(task, s->job, text, size);
}

static void observed(SqliteStream *s, const SqliteJob *job) {
  if (!s->observed) return;
  bool given_up = sqlite_result_is_given_up(job);
  sql_observed_end(&s->observed, given_up ? "timeout" : sqlite_fault_kind(&job->fault),
                   given_up ? NULL : sqlite_fault_code(&job->fault), s->rows);
}

static int fail(lua_State *L, SqliteStream *s, const SqliteJob *job) {
  observed(s, job);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, KEEPS_TEXT);
  const SqliteText *text = lua_touserdata(L, -1);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, KEEPS_SQL); /* it is where a call has it: at 2 */
  if (sqlite_result_is_given_up(job))
    sqlite_result_push_given_up(L, job);
  else
    sqlite_result_push_error(L, job, text);
  if (job == s->leasing) s->leasing = NULL, sqlite_pool_release((SqliteJob *)job);
  end(s);
  return lua_error(L);
}

static int leased(lua_State *L, Task *task, void *op) {
  SqliteStream *s = op;
  SqliteJob *job = s->leasing;
  s->waiting = false;
  if (!job->lease) return fail(L, s, job);
  s->lease = job->lease;
  s->leasing = NULL;
  sqlite_pool_release(job);
  return next(L, s, task);
}

static int push_next(lua_State *L, SqliteStream *s) {
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, KEEPS_SHAPE);
  s->left--;
  s->at = sqlite_result_push_row(L, s->of, s->job->shape, s->at, 2);
  return 1;
}

/* Each wait for rows counts by itself: what the loop does in between is not the statement's time.
 */
static void report_if_slow(lua_State *L, const SqliteStream *s) {
  const SqliteJob *job = s->job;
  double seconds = sqlite_pool_seconds(job);
  if (!job->since || seconds < s->of->slow) return;
  size_t len;
  lua_getiuservalue(L, 1, KEEPS_SQL);
  const char *sql = lua_tolstring(L, -1, &len);
  sql_slow_report(job->pool->rt, seconds, sql, len);
  lua_pop(L, 1);
}

static int fetched(lua_State *L, Task *task, void *op) {
  SqliteStream *s = op;
  SqliteJob *job = s->job;
  s->waiting = false;
  report_if_slow(L, s);
  if (sqlite_result_is_given_up(job)) return fail(L, s, job);
  if (job->bounced) { /* it changes something: once more, with the writer */
    give_back(s);
    return next(L, s, task);
  }
  if (job->fault.code) return fail(L, s, job);
  s->begun = true;
  s->at = job->cells.data;
  s->left = job->rows;
  s->rows += (int64_t)job->rows;
  if (!s->shaped) {
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, KEEPS_TEXT);
    sqlite_result_push_shape(L, job, 2);
    lua_setiuservalue(L, 1, KEEPS_SHAPE);
    s->shaped = true;
  }
  if (!job->more) give_back(s); /* others may have the connection */
  return next(L, s, task);
}

static const WaitType lease_wait = {
    .name = "a connection to SQLite", .cancel = cancel, .finish = leased, .describe = describe};
static const WaitType fetch_wait = {
    .name = "rows of SQLite", .cancel = cancel, .finish = fetched, .describe = describe};

static int take_lease(lua_State *L, SqliteStream *s, Task *task) {
  SqlitePool *pool = s->of->pool;
  bool reads =
      atomic_load(&s->job->statement->class) == SQLITE_READS && !sqlite_pool_reads_by_writer(pool);
  if (reads && sqlite_pool_waits_for_itself(pool, true, task)) reads = false;
  if (sqlite_pool_waits_for_itself(pool, reads, task)) {
    end(s);
    sqlite_lease_push_refusal(L, pool, reads);
    return lua_error(L);
  }
  s->leasing = sqlite_pool_job(pool, SQLITE_LEASE, NULL);
  if (!s->leasing) return luaL_error(L, "not enough memory");
  if (!sqlite_pool_lease(pool, s->leasing, reads, s->job->statement->sql, task,
                         ml_wait_waker(task)))
    return leased(L, task, s);
  s->waiting = true;
  return ml_wait_suspend(L, task, &lease_wait, s);
}

static int fetch(lua_State *L, SqliteStream *s, Task *task) {
  SqliteLease *lease = s->holder ? s->holder->lease : s->lease;
  if (!lease) return luaL_error(L, "db:rows: the connection was given back");
  s->job->bounces = !s->holder;
  if (!sqlite_pool_submit_leased(lease, s->job, ml_wait_waker(task))) return fetched(L, task, s);
  s->waiting = true;
  return ml_wait_suspend(L, task, &fetch_wait, s);
}

static void observe(SqliteStream *s) {
  sqlite_observe(s->job);
  s->observed = s->job->observed;
  s->job->observed = NULL;
}

static int next(lua_State *L, SqliteStream *s, Task *task) {
  if (s->job && s->left) return push_next(L, s);
  if (!s->job || (s->begun && !s->job->more)) {
    end(s);
    lua_pushnil(L);
    return 1;
  }
  if (!task) task = ml_wait_enter(L, "ml.sql");
  ml_wait_check_cancel(L);
  if (!s->begun && !s->observed) observe(s);
  if (!s->holder && !s->lease) return take_lease(L, s, task);
  return fetch(L, s, task);
}

/* --- Lua's --- */

static int l_next(lua_State *L) {
  SqliteStream *s = luaL_checkudata(L, 1, STREAM_CLASS);
  if (s->waiting) return luaL_error(L, "db:rows: another task waits for the next row");
  return next(L, s, NULL);
}

static int l_close(lua_State *L) {
  SqliteStream *s = luaL_checkudata(L, 1, STREAM_CLASS);
  end(s);
  return 0;
}

static void keep(lua_State *L, int index, int as) {
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, as);
}

int sqlite_stream_rows(lua_State *L) {
  SqliteTarget target = sqlite_target(L, "rows");
  SqliteText *text = sqlite_text_push(L, &target, 2);
  int text_at = lua_gettop(L);
  if (text->control) check_fail(L, 2, "a statement with rows expected");
  SqliteJob *job = sqlite_pool_job(target.of->pool, SQLITE_STREAM, text->statement);
  if (!job) return luaL_error(L, "not enough memory");
  sqlite_parameters_add(L, job, text, text_at, 3);
  lua_pushcfunction(L, l_next);
  SqliteStream *s = lua_newuserdatauv(L, sizeof *s, KEEPS_SQL);
  *s = (SqliteStream){.of = target.of, .job = job};
  if (target.lease) s->holder = lua_touserdata(L, 1);
  luaL_setmetatable(L, STREAM_CLASS);
  keep(L, 1, KEEPS_TARGET);
  keep(L, text_at, KEEPS_TEXT);
  keep(L, 2, KEEPS_SQL);
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

void sqlite_stream_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  class_make(L, STREAM_CLASS, none, l_close, l_close);
}
