/* moonloop.sql.pg: rows as they are read.

   pool:rows(sql, ...) -> next, stream, nil, stream      also of a connection
     For generic for: gives a row at a time, raises. Some rows are asked for at a time, so the
   server waits for who reads them. A pool's stream has a connection for itself from its first row
   to its end; in a transaction others may use the connection meanwhile. */
#include "bindings/class.h"
#include "bindings/sql/pg.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_observed.h"

#include <stdio.h>
#include <string.h>

#define STREAM_CLASS "moonloop.sql.pg.stream"

enum { FIRST_ROWS = 50, MOST_ROWS = 5000, BYTES = 256 << 10 /* to be asked for at a time */ };

/* User values: the pool or connection; the lease; the statement; the parameters; the rows that
   are there; the shape. */
enum { KEEPS_SELF = 1, KEEPS_LEASE, KEEPS_STATEMENT, KEEPS_PARAMETERS, KEEPS_ROWS, KEEPS_SHAPE };

typedef struct PgStream {
  PgPool *pool;
  PgLease *lease; /* whose connection it uses, or NULL: not yet, or no more */
  bool owns_lease;
  bool in_transaction; /* the portal lives on between two journeys */
  bool started, over, more, again;
  uint64_t portal;
  uint32_t want; /* rows, next time */
  int parameters;
  lua_Integer at, count; /* of the rows that are there */
  char holder[96];       /* for people: where the loop is */
  Observation *observed; /* from its first row to its end, or NULL */
  int64_t rows;
} PgStream;

/* --- the end --- */

/* A message that nobody waits for: the connection reads its reply itself. */
static void post(PgStream *stream, bool closes_portal) {
  PgConnection *c = stream->lease->connection;
  if (c->state != PG_OPEN) return;
  PgCall *call = pg_call_new(stream->pool);
  bool ok = call && (!closes_portal || pg_wire_close_portal(&call->out, stream->portal)) &&
            pg_wire_bare(&call->out, 'S');
  if (!ok) {
    pg_connection_lose(c, "network", "ENOMEM", "not enough memory");
    return;
  }
  call->owned = false;
  call->kept = call->continues = true;
  if (stream->in_transaction && c->flying.first) { /* when it is its turn */
    call->connection = c;
    call->in_line = true;
    pg_call_append(&c->line, call);
  } else {
    pg_connection_submit(c, call, runtime_now(stream->pool->rt));
  }
  pg_pool_wake(stream->pool);
}

static void end(PgStream *stream) {
  PgLease *lease = stream->lease;
  stream->over = true;
  sql_observed_end(&stream->observed, NULL, NULL, stream->rows);
  stream->lease = NULL;
  if (!lease) return;
  if (lease->stream == stream) lease->stream = NULL;
  PgConnection *c = lease->connection;
  if (!stream->owns_lease || !c) return;
  lease->connection = NULL;
  pg_pool_give_back(c);
}

/* Leaves the rest. */
static void leave(PgStream *stream) {
  if (stream->lease && stream->lease->connection && stream->started && !stream->over) {
    if (!stream->in_transaction)
      post(stream, false);
    else if (stream->more)
      post(stream, true);
  }
  end(stream);
}

static int l_close(lua_State *L) {
  PgStream *stream = luaL_checkudata(L, 1, STREAM_CLASS);
  leave(stream);
  return 0;
}

/* --- reading --- */

static int start(lua_State *L, const PgTarget *target, unsigned mode);

/* A row of those that are there, or nil at the end. The stream is at `index`. */
static int give(lua_State *L, PgStream *stream, int index) {
  lua_getiuservalue(L, index, KEEPS_ROWS);
  lua_rawgeti(L, -1, ++stream->at);
  return 1;
}

static void adapt(PgStream *stream, const PgCall *call) {
  size_t bytes = call->reply.to - call->reply.from;
  size_t rows = (size_t)stream->count;
  if (!rows) return;
  size_t want = BYTES / (bytes / rows + 1);
  size_t most = 4 * rows < MOST_ROWS ? 4 * rows : MOST_ROWS;
  stream->want = (uint32_t)(want < 1 ? 1 : want > most ? most : want);
}

/* That of the error object on the top. */
static const char *error_kind(lua_State *L) {
  lua_getfield(L, -1, "kind");
  const char *kind = lua_tostring(L, -1);
  lua_pop(L, 1);
  return kind;
}

static int fail(lua_State *L, PgStream *stream) {
  sql_observed_end(&stream->observed, error_kind(L), NULL, stream->rows);
  leave(stream);
  return lua_error(L); /* the error object is on the top */
}

/* The server takes no such statement. On the top of L are the stream, nil and the error. */
static int not_described(lua_State *L) { return fail(L, lua_touserdata(L, -3)); }

static bool is_stale(const PgStream *stream, const PgCall *call) {
  PgMessage error;
  return !stream->again && !stream->count && call->is_named && !stream->in_transaction &&
         pg_result_find_error(call->reply, &error) && pg_result_is_stale(call->reply, &error);
}

/* On the top of L are the stream and the shape. */
static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgStream *stream = call->data;
  int shape_at = lua_gettop(L), stream_at = shape_at - 1;
  pg_deliver(L, call);
  if (call->failed) {
    pg_push_failure(L, call);
    pg_delivered(call);
    return fail(L, stream);
  }
  if (is_stale(stream, call)) {
    PgTarget target = {stream->pool, stream->lease};
    pg_delivered(call);
    post(stream, false);
    stream->again = true;
    stream->started = false;
    lua_settop(L, shape_at - 1);
    pg_prepare_forget(L, stream->pool);
    return pg_prepare_describe(L, &target, 0, start, not_described);
  }
  PgResult of = {.mode = PG_PART,
                 .options = &stream->pool->settings.types,
                 .shape_at = shape_at,
                 .text = &call->statement->text,
                 .sql = call->statement->source,
                 .sql_len = call->statement->source_len};
  int n = pg_result_push(L, &of, call->reply);
  if (n == 2) {
    pg_delivered(call);
    stream->more = false;
    return fail(L, stream);
  }
  stream->count = (lua_Integer)lua_rawlen(L, -1);
  stream->rows += stream->count;
  stream->at = 0;
  stream->more = of.is_more;
  adapt(stream, call);
  pg_delivered(call);
  lua_setiuservalue(L, stream_at, KEEPS_ROWS);
  lua_pushvalue(L, shape_at);
  lua_setiuservalue(L, stream_at, KEEPS_SHAPE);
  if (!stream->more) leave(stream);
  if (!stream->count) {
    lua_pushnil(L);
    return 1;
  }
  return give(L, stream, stream_at);
}

/* Its task goes: so does the stream. */
static void cancel(Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgStream *stream = call->data;
  bool sent = call->in_flight;
  sql_observed_cancel(&stream->observed);
  pg_pool_abandon(call);
  if (sent) stream->started = true;
  stream->more = false; /* the server ends the portal with the statement */
  if (!sent && !stream->started)
    end(stream);
  else
    leave(stream);
}

static void describe(const Task *task, const void *op, char *text, size_t size) {
  const PgCall *call = op;
  PgCall shown = {.data = (void *)call->statement->source, .in_line = call->in_line};
  pg_describe_wait(task, &shown, text, size);
}

static const WaitType rows_wait = {
    .name = "postgresql", .cancel = cancel, .finish = finish, .describe = describe};

static int submit(lua_State *L, Task *task, PgStream *stream, PgCall *call) {
  if (!pg_wire_execute(&call->out, stream->portal, stream->want) ||
      !pg_wire_bare(&call->out, stream->in_transaction ? 'S' : 'H'))
    pg_no_memory(L, call);
  call->data = stream;
  call->until = stream->in_transaction ? PG_UNTIL_READY : PG_UNTIL_PART;
  pg_pool_call(stream->pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &rows_wait, call);
}

static PgCall *begin(lua_State *L, const PgTarget *target, PgStream *stream) {
  PgStatement *s = &((PgStatementObject *)lua_touserdata(L, PG_STATEMENT))->statement;
  PgCall *call = pg_new_call(L, target);
  call->statement = s;
  call->is_alone = call->is_part = true;
  call->data = stream;
  return call;
}

/* Bind and the first Execute. */
static int start(lua_State *L, const PgTarget *target, unsigned mode) {
  (void)mode;
  PgStream *stream = lua_touserdata(L, -1);
  Task *task = ml_wait_enter(L, "ml.sql");
  int last = lua_gettop(L) - 1;
  const PgShape *shape = pg_prepare_push_shape(L);
  PgCall *call = begin(L, target, stream);
  PgStatement *s = call->statement;
  call->shape = shape;
  call->is_named = target->pool->settings.prepare;
  call->serial = call->is_named ? s->serial : 0;
  if (!call->is_named && !pg_wire_parse(&call->out, 0, s->text.text.data, s->text.text.len,
                                        shape->oids, shape->parameters))
    pg_no_memory(L, call);
  pg_parameters_bind(L, call, s, shape, stream->portal, last, 0, 0);
  stream->started = true;
  stream->more = true;
  return submit(L, task, stream, call);
}

/* The stack of a statement's function, on the lease of the stream at 1, which comes behind the
   parameters. */
static void lay_out(lua_State *L, const PgStream *stream) {
  lua_settop(L, 1);
  luaL_checkstack(L, stream->parameters + 10, "parameters");
  lua_getiuservalue(L, 1, KEEPS_LEASE);
  lua_getiuservalue(L, 1, KEEPS_STATEMENT);
  lua_getiuservalue(L, 1, KEEPS_PARAMETERS);
  int table = lua_gettop(L);
  for (int i = 1; i <= stream->parameters; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  lua_pushvalue(L, 1);
  lua_remove(L, 1);
}

static int open_rows(lua_State *L, PgStream *stream) {
  PgConnection *c = stream->lease->connection;
  PgTarget target = {stream->pool, stream->lease};
  stream->in_transaction = c->status == 'T';
  if (stream->in_transaction)
    stream->portal = ++stream->lease->portals;
  else
    stream->lease->stream = stream;
  lay_out(L, stream);
  bool known = pg_prepare_has_shape(L);
  return known ? start(L, &target, 0) : pg_prepare_describe(L, &target, 0, start, not_described);
}

/* --- a pool's: first a connection --- */

static int leased(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgStream *stream = lua_touserdata(L, 1);
  if (call->failed) {
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, KEEPS_STATEMENT);
    pg_push_failure(L, call);
    pg_pool_release(call);
    return fail(L, stream);
  }
  lua_getiuservalue(L, 1, KEEPS_LEASE);
  PgLease *lease = lua_touserdata(L, -1);
  lease->connection = call->connection;
  pg_pool_release(call);
  stream->lease = lease;
  return open_rows(L, stream);
}

static bool take_back(Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  if (!call->failed) pg_pool_give_back(call->connection);
  pg_pool_release(call);
  return true;
}

static const WaitType lease_wait = {.name = "a connection to PostgreSQL",
                                    .cancel = pg_cancel_wait,
                                    .finish = leased,
                                    .revoke = take_back};

static int take_lease(lua_State *L, PgStream *stream) {
  if (stream->pool->is_closed) {
    stream->over = true;
    return ml_error_raise(L, "closed", NULL, "the database was closed");
  }
  Task *task = ml_wait_enter(L, "ml.sql");
  lua_settop(L, 1);
  PgLease *lease = lua_newuserdatauv(L, sizeof *lease, 1);
  *lease = (PgLease){.pool = stream->pool};
  luaL_setmetatable(L, PG_LEASE_CLASS);
  lua_getiuservalue(L, 1, KEEPS_SELF);
  lua_setiuservalue(L, -2, 1);
  lua_setiuservalue(L, 1, KEEPS_LEASE);
  PgTarget target = {.pool = stream->pool};
  PgCall *call = pg_new_call(L, &target);
  call->is_lease = true;
  call->data = stream->holder;
  pg_pool_call(stream->pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &lease_wait, call);
}

/* --- the iterator --- */

static int fetch(lua_State *L, PgStream *stream) {
  Task *task = ml_wait_enter(L, "ml.sql");
  PgTarget target = {stream->pool, stream->lease};
  lay_out(L, stream);
  lua_getiuservalue(L, -1, KEEPS_SHAPE);
  PgCall *call = begin(L, &target, stream);
  call->continues = !stream->in_transaction;
  return submit(L, task, stream, call);
}

static void observe(lua_State *L, PgStream *stream) {
  Runtime *rt = stream->pool->rt;
  if (!rt->observers) return;
  lua_getiuservalue(L, 1, KEEPS_STATEMENT);
  const PgStatement *s = &((PgStatementObject *)lua_touserdata(L, -1))->statement;
  stream->observed = sql_observed_begin(rt, "postgresql", stream->pool,
                                        stream->pool->settings.label, s->source, s->source_len);
  lua_pop(L, 1);
}

static int l_next(lua_State *L) {
  PgStream *stream = luaL_checkudata(L, 1, STREAM_CLASS);
  if (stream->at < stream->count) {
    give(L, stream, 1);
    return wait_spared(L, 1, 1);
  }
  if (stream->over) {
    lua_pushnil(L);
    return 1;
  }
  if (!stream->started && !stream->observed) observe(L, stream);
  if (!stream->lease) return take_lease(L, stream);
  if (!stream->lease->connection) {
    stream->over = true;
    return ml_error_raise(L, "closed", NULL, "the connection was given back");
  }
  return stream->started ? fetch(L, stream) : open_rows(L, stream);
}

int pg_rows(lua_State *L) {
  PgTarget target = pg_target(L, "rows");
  PgStatement *s = pg_prepare_find(L, &target);
  pg_parameters_check(L, s);
  if (target.lease && (target.lease->stream || target.lease->in_copy))
    return ml_error_raise(L, "busy", NULL,
                          "a loop over rows, or a COPY, has this connection: end it first");
  int n = lua_gettop(L) - PG_STATEMENT;
  PgStream *stream = lua_newuserdatauv(L, sizeof *stream, KEEPS_SHAPE);
  *stream = (PgStream){.pool = target.pool,
                       .lease = target.lease,
                       .owns_lease = !target.lease,
                       .want = FIRST_ROWS,
                       .parameters = n};
  luaL_setmetatable(L, STREAM_CLASS);
  script_place_push(L); /* "app.lua:12: " */
  size_t len;
  const char *place = lua_tolstring(L, -1, &len);
  snprintf(stream->holder, sizeof stream->holder, "a loop over rows%s%.*s", len > 2 ? " at " : "",
           len > 2 ? (int)len - 2 : 0, place);
  lua_pop(L, 1);
  lua_pushvalue(L, PG_SELF);
  lua_setiuservalue(L, -2, KEEPS_SELF);
  if (target.lease) {
    lua_pushvalue(L, PG_SELF);
    lua_setiuservalue(L, -2, KEEPS_LEASE);
  }
  lua_pushvalue(L, PG_STATEMENT);
  lua_setiuservalue(L, -2, KEEPS_STATEMENT);
  lua_insert(L, PG_STATEMENT);
  lua_createtable(L, n, 0); /* [self, stream, statement, parameters..., table] */
  for (int i = n; i >= 1; i--) {
    lua_pushvalue(L, PG_FIRST + i);
    lua_rawseti(L, -2, i);
  }
  lua_setiuservalue(L, PG_STATEMENT, KEEPS_PARAMETERS);
  lua_settop(L, PG_STATEMENT);
  lua_pushcfunction(L, l_next);
  lua_insert(L, PG_STATEMENT);
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

void pg_rows_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {NULL, NULL}};
  class_make(L, STREAM_CLASS, methods, l_close, l_close);
}
