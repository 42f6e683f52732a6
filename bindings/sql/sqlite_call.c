/* moonloop.sql.sqlite: statements.

   query(pool or connection, sql, ...) -> rows | nil, err
   one(...) -> row | nil, nil | nil, err of kind "too_many"
   value(...) -> value | nil, nil | nil, err
   exec(...) -> how many rows were changed | nil, err
   batch(..., sql, list) -> the sum of that | nil, err
     The statement with each of the lists of parameters, all or nothing.
   simple(connection, text) -> true | nil, err
     One or more statements, without parameters and results. */
#include "bindings/check.h"
#include "bindings/sql/sqlite.h"
#include "core/error.h"
#include "core/wait.h"
#include "sql/sql_error.h"
#include "sql/sql_slow.h"

#include <stdio.h>

/* --- delivering --- */

void sqlite_delivered(SqlitePoolObject *of, SqliteJob *job) {
  of->delivering = NULL;
  sqlite_pool_release(job);
}

void sqlite_deliver(SqlitePoolObject *of, SqliteJob *job) {
  if (of->delivering) sqlite_delivered(of, of->delivering);
  of->delivering = job;
}

static void cancel(Task *task, void *op) {
  (void)task;
  sqlite_pool_abandon(op);
}

void sqlite_describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const SqliteJob *job = op;
  const SqliteStatement *statement = job->statement;
  const char *sql = !statement          ? "a connection"
                    : statement->source ? statement->source
                                        : statement->sql;
  size_t n = 0;
  bool space = false;
  for (; *sql && n + 2 < size && n < 200; sql++) {
    bool is_space = *sql == ' ' || (*sql >= '\t' && *sql <= '\r');
    if (!is_space) {
      if (space && n) text[n++] = ' ';
      text[n++] = *sql;
    }
    space = is_space;
  }
  if (size) text[n] = 0;
}

/* The statement is the last on the stack of a call that waits. */
static int text_at(lua_State *L) { return lua_gettop(L); }

static int push_failure(lua_State *L, const SqliteJob *job, int text) {
  return sqlite_result_push_error(L, job, lua_touserdata(L, text));
}

static int push_too_many(lua_State *L) {
  size_t len;
  const char *sql = lua_tolstring(L, 2, &len);
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = "too_many",
                                .message = "more than one row where one was asked for",
                                .sql = sql,
                                .sql_len = len});
  return 2;
}

/* Not of a long result. */
static int push_rows(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text) {
  sqlite_result_push_shape(L, job, text);
  sqlite_result_push_rows(L, of, job, text + 1);
  return 1;
}

static int push_none(lua_State *L) {
  lua_pushnil(L);
  lua_pushnil(L);
  return 2;
}

static int push_one(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text) {
  if (job->rows > 1) return push_too_many(L);
  if (!job->rows) return push_none(L);
  sqlite_result_push_shape(L, job, text);
  sqlite_result_push_row(L, of, job->shape, job->cells.data, text + 1);
  return 1;
}

static int push_value(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text) {
  (void)text;
  if (job->rows > 1) return push_too_many(L);
  if (!job->rows) return push_none(L);
  sqlite_result_push_value(L, of, (SqliteConversion)job->shape->bytes[0], job->cells.data);
  return 1;
}

static int push_changes(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text) {
  (void)of;
  (void)text;
  lua_pushinteger(L, job->changes);
  return 1;
}

static int push_true(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text) {
  (void)of;
  (void)job;
  (void)text;
  lua_pushboolean(L, true);
  return 1;
}

static void report_slow(lua_State *L, const SqliteJob *job, double seconds) {
  size_t len;
  const char *sql = lua_tolstring(L, 2, &len);
  sql_slow_report(job->pool->rt, seconds, sql, len);
}

typedef int Push(lua_State *L, const SqlitePoolObject *of, const SqliteJob *job, int text);

static int deliver(lua_State *L, SqliteJob *job, Push *push) {
  SqlitePoolObject *of = job->data;
  int text = text_at(L);
  double seconds = sqlite_pool_seconds(job);
  if (seconds >= of->slow && job->since) report_slow(L, job, seconds);
  sqlite_observed(job);
  if (sqlite_result_is_given_up(job)) {
    int n = sqlite_result_push_given_up(L, job);
    sqlite_pool_abandon(job);
    return n;
  }
  sqlite_deliver(of, job);
  if (push == push_rows && !job->fault.code && job->cells.len > SQLITE_ROWS_LONG) {
    sqlite_result_push_shape(L, job, text);
    return sqlite_rows_push(L, of, job, text + 1);
  }
  int n = job->fault.code ? push_failure(L, job, text) : push(L, of, job, text);
  sqlite_delivered(of, job);
  return n;
}

static int finish_rows(lua_State *L, Task *task, void *op) {
  (void)task;
  return deliver(L, op, push_rows);
}

static int finish_one(lua_State *L, Task *task, void *op) {
  (void)task;
  return deliver(L, op, push_one);
}

static int finish_value(lua_State *L, Task *task, void *op) {
  (void)task;
  return deliver(L, op, push_value);
}

static int finish_changes(lua_State *L, Task *task, void *op) {
  (void)task;
  return deliver(L, op, push_changes);
}

static int finish_simple(lua_State *L, Task *task, void *op) {
  (void)task;
  return deliver(L, op, push_true);
}

static const WaitType wait_rows = {
    .name = "sqlite", .cancel = cancel, .finish = finish_rows, .describe = sqlite_describe};
static const WaitType wait_one = {
    .name = "sqlite", .cancel = cancel, .finish = finish_one, .describe = sqlite_describe};
static const WaitType wait_value = {
    .name = "sqlite", .cancel = cancel, .finish = finish_value, .describe = sqlite_describe};
static const WaitType wait_changes = {
    .name = "sqlite", .cancel = cancel, .finish = finish_changes, .describe = sqlite_describe};
static const WaitType wait_simple = {
    .name = "sqlite", .cancel = cancel, .finish = finish_simple, .describe = sqlite_describe};

/* --- asking --- */

static int refuse(lua_State *L, const char *message) {
  size_t len;
  const char *sql = lua_tolstring(L, 2, &len);
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = "syntax", .message = message, .sql = sql, .sql_len = len});
  return 2;
}

static SqliteJob *new_job(lua_State *L, const SqliteTarget *target, SqliteVerb verb,
                          const SqliteText *text) {
  SqliteJob *job = sqlite_pool_job(target->of->pool, verb, text->statement);
  if (!job) luaL_error(L, "not enough memory");
  job->data = target->of;
  sqlite_observe(job);
  return job;
}

/* What a read on the loop costs the others: more where it gave much. */
static uint32_t cost_of(const SqliteJob *job) { return 4 + wait_cost(job->cells.len); }

/* Suspends until the job is back. The statement is on the top of L. */
static int run(lua_State *L, Task *task, const SqliteTarget *target, SqliteJob *job,
               const WaitType *type) {
  if (target->of->inline_reads && !target->lease && sqlite_pool_run_inline(target->of->pool, job)) {
    uint32_t cost = cost_of(job);
    return wait_spared(L, type->finish(L, task, job), cost);
  }
  Waker waker = ml_wait_waker(task);
  bool waits = target->lease ? sqlite_pool_submit_leased(target->lease, job, waker)
                             : sqlite_pool_submit(target->of->pool, job, waker);
  return waits ? ml_wait_suspend(L, task, type, job) : type->finish(L, task, job);
}

static int call(lua_State *L, const char *method, unsigned limit, const WaitType *type) {
  SqliteTarget target = sqlite_target(L, method);
  SqliteText *text = sqlite_text_push(L, &target, 2);
  Task *task = ml_wait_enter(L, "ml.sql");
  SqliteJob *job = new_job(L, &target, SQLITE_RUN, text);
  job->limit = limit;
  sqlite_parameters_add(L, job, text, lua_gettop(L), 3);
  return run(L, task, &target, job, type);
}

int sqlite_call_query(lua_State *L) { return call(L, "query", 0, &wait_rows); }
int sqlite_call_one(lua_State *L) { return call(L, "one", 2, &wait_one); }
int sqlite_call_value(lua_State *L) { return call(L, "value", 2, &wait_value); }
int sqlite_call_exec(lua_State *L) { return call(L, "exec", 0, &wait_changes); }

int sqlite_call_batch(lua_State *L) {
  SqliteTarget target = sqlite_target(L, "batch");
  lua_settop(L, 3);
  check_type(L, 3, LUA_TTABLE);
  SqliteText *text = sqlite_text_push(L, &target, 2);
  Task *task = ml_wait_enter(L, "ml.sql");
  lua_Integer sets = (lua_Integer)lua_rawlen(L, 3);
  if (!sets) {
    lua_pushinteger(L, 0);
    return 1;
  }
  SqliteJob *job = new_job(L, &target, SQLITE_BATCH, text);
  job->sets = (unsigned)sets;
  for (lua_Integer i = 1; i <= sets; i++) {
    lua_rawgeti(L, 3, i);
    sqlite_parameters_add_set(L, job, text, 4, 5, i);
    lua_settop(L, 4);
  }
  return run(L, task, &target, job, &wait_changes);
}

int sqlite_call_simple(lua_State *L) {
  SqliteTarget target = sqlite_target(L, "simple");
  lua_settop(L, 2);
  if (!target.lease) return luaL_error(L, "simple: a leased connection expected");
  SqliteText *text = sqlite_text_push_script(L, &target, 2);
  if (!text) return 2;
  Task *task = ml_wait_enter(L, "ml.sql");
  if (text->text.parameters) return refuse(L, "a script takes no parameters");
  SqliteJob *job = new_job(L, &target, SQLITE_SIMPLE, text);
  return run(L, task, &target, job, &wait_simple);
}
