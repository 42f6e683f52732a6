/* moonloop.sql.pg: COPY from a table.

   connection:copy_out(sql) -> next, output, nil, output
     sql: "copy ... to stdout". For generic for: gives pieces of text, of whole rows; raises. */
#include "bindings/sql/pg_copy.h"
#include "core/task.h"
#include "sql/sql_observed.h"

enum { MOST_UNREAD = 256 << 10 };

/* Pushes the data of the reply as one string; "" where there is none. */
static void push_data(lua_State *L, PgCopy *copy, PgSlice reply) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (PgMessage m; pg_reader_step(&reply, &m);) {
    if (m.type != 'd') continue; /* a row */
    luaL_addlstring(&b, m.body, m.len);
    copy->rows++;
  }
  luaL_pushresult(&b);
}

static int read_on(lua_State *L, PgCopy *copy);

/* The copy is at 1, its SQL at 2. */
static int came(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgCopy *copy = lua_touserdata(L, 1);
  PgConnection *c = pg_copy_connection(copy);
  pg_deliver(L, call);
  if (pg_copy_push_error(L, call)) {
    pg_copy_observed(copy, call);
    pg_delivered(call);
    pg_copy_leave(copy);
    return lua_error(L);
  }
  push_data(L, copy, call->reply);
  pg_delivered(call);
  if (c && c->in.block && c->in.at - c->in.from < MOST_UNREAD) pg_connection_pause(c, false);
  if (lua_rawlen(L, -1)) return 1;
  lua_settop(L, 2);
  return read_on(L, copy);
}

static void cancel_out(Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgCopy *copy = call->data;
  sql_observed_cancel(&copy->observed);
  call->until = PG_UNTIL_READY; /* nobody wants any of it */
  call->connection->is_copying_out = false;
  if (copy->lease) copy->lease->in_copy = false;
  copy->lease = NULL;
  pg_connection_pause(call->connection, false);
  pg_pool_abandon(call);
}

static const WaitType out_wait = {
    .name = "COPY from PostgreSQL", .cancel = cancel_out, .finish = came};

static int read_on(lua_State *L, PgCopy *copy) {
  PgConnection *c = pg_copy_connection(copy);
  bool lost = c && c->state == PG_CLOSED; /* and with it perhaps what was not read yet */
  if (!c || (!lost && !c->is_open_ended && c->in.at == c->in.from)) {
    pg_copy_leave(copy);
    lua_pushnil(L);
    return 1;
  }
  Task *task = ml_wait_enter(L, "ml.sql");
  PgCall *call = pg_copy_expect(c, PG_UNTIL_ANY);
  if (!call) return luaL_error(L, "not enough memory");
  if (!call->in_flight) {
    pg_deliver(L, call);
    pg_copy_push_error(L, call);
    pg_copy_observed(copy, call);
    pg_delivered(call);
    pg_copy_leave(copy);
    return lua_error(L);
  }
  call->kept = false;
  call->awaited = true;
  call->unlimited = true;
  call->waker = ml_wait_waker(task);
  call->data = copy;
  pg_connection_hold_for(c, call, true);
  pg_connection_pause(c, false);
  if (c->in.at > c->in.from) pg_connection_take_there(c);
  return ml_wait_suspend(L, task, &out_wait, call);
}

static int l_next(lua_State *L) {
  PgCopy *copy = luaL_checkudata(L, 1, PG_COPY_CLASS);
  lua_settop(L, 1);
  lua_pushnil(L);
  return read_on(L, copy);
}

static int begun_out(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  PgLease *lease = lua_touserdata(L, PG_SELF);
  PgCopy *copy = lua_touserdata(L, -1);
  pg_deliver(L, call);
  bool failed = pg_copy_push_error(L, call);
  bool begun = !failed && pg_copy_has_begun(call, 'H');
  if (begun && lease->connection)
    pg_copy_keep_observed(copy, call);
  else
    pg_observed(call);
  pg_delivered(call);
  if (failed) return lua_error(L);
  if (!begun || !lease->connection)
    return ml_error_raise(L, "syntax", NULL, "copy_out: the statement is no COPY ... TO STDOUT");
  copy->lease = lease;
  lease->in_copy = true;
  lua_pushcfunction(L, l_next);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

static const WaitType begin_out_wait = {.name = "COPY from PostgreSQL",
                                        .cancel = pg_cancel_wait,
                                        .finish = begun_out,
                                        .describe = pg_describe_wait};

int pg_copy_out(lua_State *L) {
  lua_settop(L, 2);
  int n = pg_copy_begin(L, "copy_out", true, &begin_out_wait);
  return n == 2 ? lua_error(L) : n;
}
