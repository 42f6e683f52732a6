/* moonloop.sql.sqlite: leased connections.

   lease(pool, "write" or "read") -> connection | nil, err
     The writer, or a reader, for one holder: known to be idle and whole. Suspends while others have
     them, for `acquire` seconds at most.
   connection:release()
     What the holder has left open is ended first. Also __gc and __close.
   connection:discard()
     The same, and it is closed: the next holder has a new one.
   connection:state() -> "idle" | "transaction" | "failed" | "closed"
     failed: SQLite has rolled the transaction back, and the holder has not yet. */
#include "bindings/class.h"
#include "bindings/sql/sqlite.h"
#include "core/script_place.h"
#include "core/task.h"

#include <stdio.h>
#include <string.h>

/* --- taking one --- */

static void cancel(Task *task, void *op) {
  (void)task;
  sqlite_pool_abandon(op);
}

/* The object for the lease is on the top of L. */
static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  SqliteJob *job = op;
  SqliteLeaseObject *object = lua_touserdata(L, -1);
  object->lease = job->lease;
  int n = object->lease ? 1 : sqlite_result_push_error(L, job, NULL);
  sqlite_pool_release(job);
  return n;
}

static const WaitType lease_wait = {
    .name = "a connection to SQLite", .cancel = cancel, .finish = finish};

/* Who has it, for those who wait: "task 7 at app.lua:12" */
static void name_holder(lua_State *L, const Task *task, char holder[160]) {
  script_place_push(L);
  size_t len;
  const char *place = lua_tolstring(L, -1, &len);
  if (len > 2)
    snprintf(holder, 160, "task %llu at %.*s", (unsigned long long)task->id, (int)len - 2, place);
  else
    snprintf(holder, 160, "task %llu", (unsigned long long)task->id);
  lua_pop(L, 1);
}

int sqlite_lease_push_refusal(lua_State *L, const SqlitePool *pool, bool reads) {
  if (reads && pool->readers_most)
    return ml_error_return(L, "pool", NULL,
                           "the task would wait for itself: it has all of the %u connections that "
                           "read",
                           pool->readers_most);
  return ml_error_return(L, "pool", NULL,
                         "the task would wait for itself: SQLite has one connection that writes, "
                         "and %s has it",
                         pool->writer.lease ? pool->writer.lease->holder : "it");
}

int sqlite_lease_take(lua_State *L) {
  SqlitePoolObject *of = luaL_checkudata(L, 1, SQLITE_POOL_CLASS);
  bool reads = strcmp(luaL_optstring(L, 2, "write"), "read") == 0;
  Task *task = ml_wait_enter(L, "ml.sql");
  if (sqlite_pool_waits_for_itself(of->pool, reads, task))
    return sqlite_lease_push_refusal(L, of->pool, reads);
  lua_settop(L, 1);
  char holder[160];
  name_holder(L, task, holder);
  SqliteLeaseObject *object = lua_newuserdatauv(L, sizeof *object, 1);
  *object = (SqliteLeaseObject){.of = of};
  luaL_setmetatable(L, SQLITE_LEASE_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  SqliteJob *job = sqlite_pool_job(of->pool, SQLITE_LEASE, NULL);
  if (!job) return luaL_error(L, "not enough memory");
  if (sqlite_pool_lease(of->pool, job, reads, holder, task, ml_wait_waker(task)))
    return ml_wait_suspend(L, task, &lease_wait, job);
  return finish(L, task, job);
}

/* --- giving it back --- */

static int give_back(lua_State *L, bool reopen) {
  SqliteLeaseObject *object = luaL_checkudata(L, 1, SQLITE_LEASE_CLASS);
  if (object->lease) sqlite_pool_give_back(object->lease, reopen);
  object->lease = NULL;
  return 0;
}

static int l_release(lua_State *L) { return give_back(L, false); }
static int l_discard(lua_State *L) { return give_back(L, true); }

static int l_state(lua_State *L) {
  const SqliteLeaseObject *object = luaL_checkudata(L, 1, SQLITE_LEASE_CLASS);
  const SqliteLease *lease = object->lease;
  lua_pushstring(L, !lease || lease->pool->closed ? "closed"
                    : lease->failed               ? "failed"
                    : lease->in_transaction       ? "transaction"
                                                  : "idle");
  return 1;
}

void sqlite_lease_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"query", sqlite_call_query},
                                     {"one", sqlite_call_one},
                                     {"value", sqlite_call_value},
                                     {"exec", sqlite_call_exec},
                                     {"batch", sqlite_call_batch},
                                     {"rows", sqlite_stream_rows},
                                     {"simple", sqlite_call_simple},
                                     {"release", l_release},
                                     {"discard", l_discard},
                                     {"state", l_state},
                                     {NULL, NULL}};
  class_make(L, SQLITE_LEASE_CLASS, methods, l_release, l_release);
}
