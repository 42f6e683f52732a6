/* moonloop.sql.pg: COPY into a table.

   connection:copy_in(sql, next, state, control) -> how many rows | nil, err
     sql: "copy ... from stdin". next gives pieces of text, cut anywhere, nil at the end; where it
     raises, nothing is copied. */
#include "bindings/check.h"
#include "bindings/sql/pg_copy.h"
#include "core/task.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_error.h"
#include "sql/sql_observed.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_UNSENT = 256 << 10, MOST_PIECE = 1 << 20 };

/* The stack of copy_in: connection, sql, next, state, control, copy. */
enum { NEXT = 3, STATE, CONTROL, COPY };

static int feed(lua_State *L, PgCopy *copy);

static int push_count(lua_State *L, PgCopy *copy, PgCall *rest) {
  pg_deliver(L, rest);
  pg_copy_observed(copy, rest);
  if (!pg_copy_push_error(L, rest)) {
    const char *tag = pg_result_tag(rest->reply), *space = strrchr(tag, ' ');
    lua_pushinteger(L, space ? strtoll(space, NULL, 10) : 0);
    pg_delivered(rest);
    return 1;
  }
  pg_delivered(rest);
  return 2;
}

static void over(PgCopy *copy) {
  copy->lease->in_copy = false;
  copy->lease = NULL;
  copy->rest = NULL;
}

static int finish_rest(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCopy *copy = lua_touserdata(L, COPY);
  over(copy);
  return push_count(L, copy, op);
}

/* CopyDone has been sent: its task goes. What becomes of the rows is not known to anybody. */
static void cancel_rest(Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgCopy *copy = call->data;
  sql_observed_cancel(&copy->observed);
  if (copy->lease) over(copy);
  pg_pool_abandon(call);
}

static const WaitType rest_wait = {
    .name = "COPY to PostgreSQL", .cancel = cancel_rest, .finish = finish_rest};

/* A task that is cancelled cannot wait: it raises, and the COPY is over. */
static Task *enter(lua_State *L, PgCopy *copy) {
  if (ml_wait_enter_cleanup(L, "ml.sql")->cancel_pending) pg_copy_leave(copy);
  return ml_wait_enter(L, "ml.sql");
}

/* All has been given. */
static int complete(lua_State *L, PgCopy *copy) {
  PgConnection *c = pg_copy_connection(copy);
  Task *task = enter(L, copy);
  PgCall *rest = copy->rest;
  if (!rest->in_flight) { /* it has failed already */
    over(copy);
    return push_count(L, copy, rest);
  }
  if (c->is_copying_in && !pg_wire_bare(&c->out, 'c')) return luaL_error(L, "not enough memory");
  c->is_copying_in = false;
  rest->waker = ml_wait_waker(task);
  rest->awaited = true;
  rest->data = copy;
  pg_connection_hold_for(c, rest, true);
  pg_pool_wake(c->pool);
  return ml_wait_suspend(L, task, &rest_wait, rest);
}

static int finish_room(lua_State *L, Task *task, void *op) {
  (void)task;
  (void)op;
  return feed(L, lua_touserdata(L, COPY));
}

static void cancel_room(Task *task, void *op) {
  (void)task;
  PgCopy *copy = op;
  PgConnection *c = pg_copy_connection(copy);
  c->has_reader = false;
  pg_connection_hold(c, -1);
  pg_copy_leave(copy);
}

static const WaitType room_wait = {
    .name = "COPY to PostgreSQL", .cancel = cancel_room, .finish = finish_room};

/* Copies the piece on the top of L. */
static void put(lua_State *L, PgCopy *copy) {
  PgConnection *c = pg_copy_connection(copy);
  size_t len;
  const char *bytes = lua_tolstring(L, -1, &len);
  while (len) {
    size_t n = len < MOST_PIECE ? len : MOST_PIECE, start;
    if (!buffer_reserve(&c->out, n + 5)) luaL_error(L, "not enough memory");
    if (!pg_wire_begin(&c->out, 'd', &start)) luaL_error(L, "not enough memory");
    buffer_add(&c->out, bytes, n);
    pg_wire_end(&c->out, start);
    bytes += n;
    len -= n;
  }
  pg_pool_wake(c->pool);
}

/* `next` has been called: with LUA_OK or LUA_YIELD it has given something. */
static int fed(lua_State *L, int status, lua_KContext ctx) {
  PgCopy *copy = (PgCopy *)ctx;
  PgConnection *c = pg_copy_connection(copy);
  if (status != LUA_OK && status != LUA_YIELD) {
    pg_copy_leave(copy);
    return lua_error(L);
  }
  if (!c || !copy->rest->in_flight) return c ? complete(L, copy) : feed(L, copy);
  if (lua_isnil(L, -1)) return complete(L, copy);
  if (!lua_isstring(L, -1)) {
    pg_copy_leave(copy);
    return luaL_error(L, "copy_in: the iterator gave a %s, text expected", luaL_typename(L, -1));
  }
  put(L, copy);
  lua_replace(L, CONTROL);
  return feed(L, copy);
}

/* Asks for pieces until there is one too many to be sent at once. */
static int feed(lua_State *L, PgCopy *copy) {
  PgConnection *c = pg_copy_connection(copy);
  lua_settop(L, COPY);
  if (!c) {
    pg_copy_leave(copy);
    return ml_error_return(L, "closed", NULL, "the connection was given back");
  }
  if (!copy->rest->in_flight) return complete(L, copy);
  if (pg_connection_unsent(c) > MOST_UNSENT) { /* it is sent at the end of the pass */
    Task *task = enter(L, copy);
    c->reader = ml_wait_waker(task);
    c->has_reader = true;
    pg_connection_hold(c, 1);
    return ml_wait_suspend(L, task, &room_wait, copy);
  }
  if (!copy->rest->in_flight) return complete(L, copy);
  lua_pushvalue(L, NEXT);
  lua_pushvalue(L, STATE);
  lua_pushvalue(L, CONTROL);
  return fed(L, lua_pcallk(L, 2, 1, 0, (lua_KContext)copy, fed), (lua_KContext)copy);
}

static int begun_in(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgLease *lease = lua_touserdata(L, PG_SELF);
  PgCopy *copy = lua_touserdata(L, COPY);
  pg_deliver(L, call);
  bool failed = pg_copy_push_error(L, call);
  bool begun = !failed && pg_copy_has_begun(call, 'G');
  if (begun && lease->connection)
    pg_copy_keep_observed(copy, call);
  else
    pg_observed(call);
  pg_delivered(call);
  if (failed) return 2;
  if (!begun || !lease->connection)
    return ml_error_return(L, "syntax", NULL, "copy_in: the statement is no COPY ... FROM STDIN");
  copy->rest = pg_copy_expect(lease->connection, PG_UNTIL_READY);
  if (!copy->rest) return luaL_error(L, "not enough memory");
  copy->lease = lease;
  lease->in_copy = true;
  return feed(L, copy);
}

static const WaitType in_wait = {.name = "COPY to PostgreSQL",
                                 .cancel = pg_cancel_wait,
                                 .finish = begun_in,
                                 .describe = pg_describe_wait};

int pg_copy_in(lua_State *L) {
  check_callable(L, NEXT);
  lua_settop(L, CONTROL);
  return pg_copy_begin(L, "copy_in", false, &in_wait);
}
