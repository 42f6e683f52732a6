/* moonloop.sql.pg: statements that are run and give all they have at once.

   pool:query(sql, ...) -> rows | nil, err        also of a connection, and the following
   pool:one(sql, ...) -> row; nil, nil | nil, err
   pool:value(sql, ...) -> value; nil, nil | nil, err
   pool:exec(sql, ...) -> how many rows it has changed | nil, err
     `...` are the parameters $1, $2, ..., or a table of those with names. They suspend until the
     reply is there.
   pool:batch(sql, lists) -> how many rows in all | nil, err
     One statement with many lists of parameters: all or nothing.
   connection:simple(sql) -> true, what the last one says it has done | nil, err
     Several statements without parameters. */
#include "bindings/check.h"
#include "bindings/sql/pg.h"
#include "core/task.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_error.h"
#include "sql/sql_observed.h"

#include <string.h>

/* Beside the modes of results: what `mode` says more. */
enum { MODE = 7, BATCH = 8, AGAIN = 16 };

static int send_one(lua_State *L, const PgTarget *target, unsigned mode);
static int send_batch(lua_State *L, const PgTarget *target, unsigned mode);

/* --- the results --- */

static PgTarget target_of(lua_State *L, const PgCall *call) {
  PgLease *lease = luaL_testudata(L, PG_SELF, PG_LEASE_CLASS);
  return (PgTarget){call->pool, lease};
}

/* The statement has changed since it was prepared: once more, with what it is now. */
static bool is_stale(const PgCall *call) {
  PgMessage error;
  return call->has_error && call->is_named && !(call->mode & AGAIN) &&
         pg_result_find_error(call->reply, &error) && pg_result_is_stale(call->reply, &error);
}

static int start_again(lua_State *L, PgCall *call) {
  PgTarget target = target_of(L, call);
  unsigned mode = call->mode | AGAIN;
  lua_pop(L, 1); /* the shape */
  pg_prepare_forget(L, target.pool);
  if (target.lease && !target.lease->connection) {
    sql_observed_end(&call->observed, "closed", NULL, -1);
    pg_delivered(call);
    return ml_error_return(L, "closed", NULL, "the connection was given back");
  }
  pg_hand_over(L, call);
  return pg_prepare_describe(L, &target, mode, mode & BATCH ? send_batch : send_one, NULL);
}

/* The shape is on the top of L. */
static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  pg_deliver(L, call);
  if (call->failed) {
    pg_observed(call);
    pg_push_failure(L, call);
    pg_delivered(call);
    return 2;
  }
  if (is_stale(call)) return start_again(L, call);
  pg_observed(call);
  PgResult of = {.mode = call->mode & MODE,
                 .options = &call->pool->settings.types,
                 .shape_at = lua_gettop(L),
                 .in_batch = call->mode & BATCH,
                 .text = &call->statement->text,
                 .sql = call->statement->source,
                 .sql_len = call->statement->source_len};
  PgLongRows *rows = NULL;
  int n = 2;
  if (of.mode == PG_ROWS && pg_long_rows_is(call))
    rows = pg_long_rows_begin(L, call, &of);
  else
    n = pg_result_push(L, &of, call->reply);
  if (of.is_new_shape) pg_prepare_forget(L, call->pool);
  pg_delivered(call);
  return rows ? pg_long_rows_go(L, rows) : n;
}

static const WaitType run_wait = {
    .name = "postgresql", .cancel = pg_cancel_wait, .finish = finish, .describe = pg_describe_wait};

/* --- sending --- */

/* A statement without parameters that is not of the usual kind is not prepared: it says what its
   columns are when it is run. */
static bool is_run_at_once(const PgStatement *s) {
  return s->class != PG_QUERY && !s->text.parameters;
}

static bool add_at_once(PgCall *call, const PgStatement *s) {
  static const char bind[] = "B\0\0\0\14\0\0\0\0\0\0\0\0"; /* no parameters; all columns as text */
  return pg_wire_parse(&call->out, 0, s->text.text.data, s->text.text.len, NULL, 0) &&
         buffer_add(&call->out, bind, sizeof bind - 1) && pg_wire_describe(&call->out, 'P', 0) &&
         pg_wire_execute_all(&call->out);
}

static int submit(lua_State *L, Task *task, const PgTarget *target, PgCall *call) {
  pg_pool_call(target->pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &run_wait, call);
}

static PgCall *begin(lua_State *L, const PgTarget *target, PgStatement *s, const PgShape *shape,
                     unsigned mode) {
  PgCall *call = pg_new_call(L, target);
  pg_observe(call, s->source, s->source_len);
  call->mode = mode;
  call->data = (void *)s->source;
  call->statement = s;
  call->shape = shape;
  call->is_alone = s->class != PG_QUERY || (mode & BATCH);
  call->may_repeat = !target->lease && !call->is_alone;
  call->is_named = shape && target->pool->settings.prepare;
  call->serial = call->is_named ? s->serial : 0;
  return call;
}

/* The shape is known. */
static int send_one(lua_State *L, const PgTarget *target, unsigned mode) {
  PgStatement *s = &((PgStatementObject *)lua_touserdata(L, PG_STATEMENT))->statement;
  Task *task = ml_wait_enter(L, "ml.sql");
  int last = lua_gettop(L);
  const PgShape *shape = pg_prepare_push_shape(L);
  PgCall *call = begin(L, target, s, shape, mode);
  Buffer *out = &call->out;
  bool ok = call->is_named || pg_wire_parse(out, 0, s->text.text.data, s->text.text.len,
                                            shape->oids, shape->parameters);
  if (!ok) pg_no_memory(L, call);
  pg_parameters_bind(L, call, s, shape, 0, last, 0, 0);
  ok = (call->is_named || pg_wire_describe(out, 'P', 0)) && pg_wire_execute_all(out);
  if (!ok) pg_no_memory(L, call);
  return submit(L, task, target, call);
}

static int send_at_once(lua_State *L, const PgTarget *target, PgStatement *s, unsigned mode) {
  Task *task = ml_wait_enter(L, "ml.sql");
  lua_pushnil(L); /* no shape */
  PgCall *call = begin(L, target, s, NULL, mode);
  if (!add_at_once(call, s)) pg_no_memory(L, call);
  return submit(L, task, target, call);
}

/* Why nothing can be run there, or 0. */
static int refused(lua_State *L, const PgTarget *target) {
  const PgPool *pool = target->pool;
  const PgLease *lease = target->lease;
  if (pool->is_closed) return ml_error_return(L, "closed", NULL, "the database was closed");
  if (!lease) return 0;
  const PgConnection *c = lease->connection;
  if (c->state == PG_CLOSED)
    return ml_error_return(L, c->why_kind, c->why_code[0] ? c->why_code : NULL,
                           "the connection to %s was lost: %s", pool->settings.label, c->why);
  if (lease->stream || lease->in_copy)
    return ml_error_return(L, "busy", NULL,
                           "a loop over rows, or a COPY, has this connection: end it first");
  return 0;
}

static int run(lua_State *L, unsigned mode, const char *method) {
  PgTarget target = pg_target(L, method);
  PgStatement *s = pg_prepare_find(L, &target);
  pg_parameters_check(L, s);
  int n = refused(L, &target);
  if (n) return n;
  if (is_run_at_once(s)) return send_at_once(L, &target, s, mode);
  bool known = pg_prepare_has_shape(L);
  return known ? send_one(L, &target, mode) : pg_prepare_describe(L, &target, mode, send_one, NULL);
}

int pg_run_query(lua_State *L) { return run(L, PG_ROWS, "query"); }
int pg_run_one(lua_State *L) { return run(L, PG_ONE, "one"); }
int pg_run_value(lua_State *L) { return run(L, PG_VALUE, "value"); }
int pg_run_exec(lua_State *L) { return run(L, PG_COUNT, "exec"); }

/* --- batches --- */

static int send_batch(lua_State *L, const PgTarget *target, unsigned mode) {
  PgStatement *s = &((PgStatementObject *)lua_touserdata(L, PG_STATEMENT))->statement;
  Task *task = ml_wait_enter(L, "ml.sql");
  const PgShape *shape = pg_prepare_push_shape(L);
  PgCall *call = begin(L, target, s, shape, mode);
  Buffer *out = &call->out;
  if (!call->is_named &&
      !pg_wire_parse(out, 0, s->text.text.data, s->text.text.len, shape->oids, shape->parameters))
    pg_no_memory(L, call);
  lua_Integer lists = (lua_Integer)lua_rawlen(L, PG_FIRST);
  for (lua_Integer i = 1; i <= lists; i++) {
    lua_rawgeti(L, PG_FIRST, i);
    int table = lua_gettop(L);
    pg_parameters_bind(L, call, s, shape, 0, 0, table, i);
    lua_settop(L, table - 1);
    if (!pg_wire_execute(out, 0, 0)) pg_no_memory(L, call);
  }
  if (!pg_wire_bare(out, 'S')) pg_no_memory(L, call);
  return submit(L, task, target, call);
}

/* Each list before anything is sent. */
static void check_lists(lua_State *L, const PgStatement *s) {
  if (lua_type(L, PG_FIRST) != LUA_TTABLE) check_type_fail(L, PG_FIRST, "list of lists");
  lua_settop(L, PG_FIRST);
  lua_Integer lists = (lua_Integer)lua_rawlen(L, PG_FIRST);
  for (lua_Integer i = 1; i <= lists; i++) {
    if (lua_rawgeti(L, PG_FIRST, i) != LUA_TTABLE)
      check_fail(
          L, PG_FIRST,
          lua_pushfstring(L, "item %d is a %s, a table expected", (int)i, luaL_typename(L, -1)));
    if (!s->text.names && lua_rawlen(L, -1) > s->text.parameters)
      check_fail(L, PG_FIRST,
                 lua_pushfstring(L, "list %d has %d values, the statement has %d parameters",
                                 (int)i, (int)lua_rawlen(L, -1), (int)s->text.parameters));
    lua_pop(L, 1);
  }
}

int pg_run_batch(lua_State *L) {
  PgTarget target = pg_target(L, "batch");
  PgStatement *s = pg_prepare_find(L, &target);
  check_lists(L, s);
  int n = refused(L, &target);
  if (n) return n;
  unsigned mode = PG_COUNT | BATCH;
  bool known = pg_prepare_has_shape(L);
  return known ? send_batch(L, &target, mode)
               : pg_prepare_describe(L, &target, mode, send_batch, NULL);
}

/* --- Query --- */

static int finish_simple(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgMessage error;
  pg_deliver(L, call);
  pg_observed(call);
  if (call->failed) {
    pg_push_failure(L, call);
  } else if (pg_result_find_error(call->reply, &error)) {
    PgResult of = {.mode = PG_COUNT};
    of.sql = pg_sql(L, &of.sql_len);
    lua_pushnil(L);
    pg_result_push_error(L, &error, &of, 0);
  } else {
    lua_pushboolean(L, true);
    lua_pushstring(L, pg_result_tag(call->reply));
  }
  pg_delivered(call);
  return 2;
}

static const WaitType simple_wait = {.name = "postgresql",
                                     .cancel = pg_cancel_wait,
                                     .finish = finish_simple,
                                     .describe = pg_describe_wait};

int pg_run_simple(lua_State *L) {
  PgTarget target = {.lease = pg_check_lease(L, "simple")};
  target.pool = target.lease->pool;
  size_t len;
  const char *sql = luaL_checklstring(L, 2, &len);
  if (strlen(sql) != len) return check_fail(L, 2, "the text holds a NUL byte");
  lua_settop(L, 2);
  int n = refused(L, &target);
  if (n) return n;
  Task *task = ml_wait_enter(L, "ml.sql");
  PgCall *call = pg_new_call(L, &target);
  pg_observe(call, sql, len);
  call->is_simple = call->is_alone = true;
  call->data = (void *)sql;
  if (!pg_wire_text(&call->out, 'Q', sql, len)) pg_no_memory(L, call);
  pg_pool_call(target.pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &simple_wait, call);
}
