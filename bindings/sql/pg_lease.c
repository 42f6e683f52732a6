/* moonloop.sql.pg: leased connections.

   pool:lease(what) -> connection | nil, err
     One for one holder, known to be idle and whole. Suspends while others have them, for `acquire`
     seconds at most. what: "listen" is one beside those of the pool, closed when it is given back;
     others need not be given.
   connection:release()
     It is given to others, or closed where it is in a transaction or in the middle of something.
     Also __gc and __close.
   connection:discard()
     It is closed.
   connection:state() -> "idle" | "transaction" | "failed" | "closed"
     failed: PostgreSQL takes nothing but the end of the transaction. */
#include "bindings/class.h"
#include "bindings/sql/pg.h"
#include "core/script_place.h"
#include "core/task.h"

#include <stdio.h>
#include <string.h>

/* --- taking one --- */

/* The object for the lease is below the holder's name, which is on the top of L. */
static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  lua_pop(L, 1);
  PgLease *lease = lua_touserdata(L, -1);
  int n = 1;
  if (call->failed) {
    lua_settop(L, 1);
    n = pg_push_failure(L, call);
  } else {
    lease->connection = call->connection;
  }
  pg_pool_release(call);
  return n;
}

static bool take_back(Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  if (!call->failed) pg_pool_give_back(call->connection);
  pg_pool_release(call);
  return true;
}

static void describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const PgCall *call = op;
  snprintf(text, size, "a connection to %s", call->pool->settings.label);
}

static const WaitType lease_wait = {.name = "a connection to PostgreSQL",
                                    .cancel = pg_cancel_wait,
                                    .finish = finish,
                                    .describe = describe,
                                    .revoke = take_back};

/* Pushes who has it, for those who wait: "task 7 at app.lua:12". */
static const char *push_holder(lua_State *L, const Task *task) {
  script_place_push(L);
  size_t len;
  const char *place = lua_tolstring(L, -1, &len);
  if (len > 2) {
    lua_pushlstring(L, place, len - 2);
    lua_remove(L, -2);
    place = lua_tostring(L, -1);
    lua_pushfstring(L, "task %I at %s", (LUAI_UACINT)task->id, place);
  } else {
    lua_pushfstring(L, "task %I", (LUAI_UACINT)task->id);
  }
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

int pg_lease_take(lua_State *L) {
  PgPoolObject *object = luaL_checkudata(L, 1, PG_POOL_CLASS);
  bool extra = strcmp(luaL_optstring(L, 2, ""), "listen") == 0;
  if (object->pool->is_closed) return ml_error_return(L, "closed", NULL, "the database was closed");
  Task *task = ml_wait_enter(L, "ml.sql");
  lua_settop(L, 1);
  PgLease *lease = lua_newuserdatauv(L, sizeof *lease, 1);
  *lease = (PgLease){.pool = object->pool};
  luaL_setmetatable(L, PG_LEASE_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  const char *holder = push_holder(L, task);
  PgTarget target = {.pool = object->pool};
  PgCall *call = pg_new_call(L, &target);
  call->is_lease = true;
  call->is_extra = extra;
  call->data = (void *)holder;
  pg_pool_call(object->pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &lease_wait, call);
}

/* --- giving it back --- */

static int give_back(lua_State *L, bool discard) {
  PgLease *lease = luaL_checkudata(L, 1, PG_LEASE_CLASS);
  PgConnection *c = lease->connection;
  lease->connection = NULL;
  if (!c) return 0;
  if (discard) pg_connection_lose(c, "closed", NULL, "its holder has closed it");
  pg_pool_give_back(c);
  return 0;
}

static int l_release(lua_State *L) { return give_back(L, false); }
static int l_discard(lua_State *L) { return give_back(L, true); }

static int l_state(lua_State *L) {
  const PgLease *lease = luaL_checkudata(L, 1, PG_LEASE_CLASS);
  const PgConnection *c = lease->connection;
  lua_pushstring(L, !c || c->state == PG_CLOSED ? "closed"
                    : c->status == 'E'          ? "failed"
                    : c->status == 'T'          ? "transaction"
                    : c->is_open_ended          ? "transaction"
                                                : "idle");
  return 1;
}

void pg_lease_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"query", pg_run_query},   {"one", pg_run_one},         {"value", pg_run_value},
      {"exec", pg_run_exec},     {"batch", pg_run_batch},     {"rows", pg_rows},
      {"simple", pg_run_simple}, {"listen", pg_notes_listen}, {"next_notification", pg_notes_next},
      {"copy_in", pg_copy_in},   {"copy_out", pg_copy_out},   {"release", l_release},
      {"discard", l_discard},    {"state", l_state},          {NULL, NULL}};
  class_make(L, PG_LEASE_CLASS, methods, l_release, l_release);
}
