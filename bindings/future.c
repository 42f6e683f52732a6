/* ml.future and ml.event: waiting for something that other code brings about. */
#include "modules.h"
#include "report.h"

#include <lauxlib.h>

/* --- future --- */

#define FUTURE "moonloop.future"

/* The user value is the only result, a table of several, or {error} as a failed task's is. */
typedef struct Future {
  Waiters line;
  int results;
  bool settled, rejected, observed;
} Future;

static int future_outcome(lua_State *L, Future *f) {
  f->observed = true;
  lua_getiuservalue(L, 1, 1);
  int n = f->results, table = lua_gettop(L);
  if (f->rejected) {
    lua_rawgeti(L, table, 1);
    return lua_error(L);
  }
  if (n <= 1) return n;
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
  return n;
}

static void leave_line(Task *t, void *op) { waiters_leave(op, &t->waiter); }

static int future_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return future_outcome(L, lua_touserdata(L, 1));
}

static const WaitType future_wait = {
    .name = "a future", .cancel = leave_line, .finish = future_finish};

/* future:await() -> what it was resolved with; raises what it was rejected with. Again any number
   of times, from any task. */
static int future_await(lua_State *L) {
  Future *f = luaL_checkudata(L, 1, FUTURE);
  lua_settop(L, 1);
  if (f->settled) return future_outcome(L, f);
  Task *t = ml_wait_enter(L, "future:await");
  waiters_join(&f->line, &t->waiter);
  return ml_wait_suspend(L, t, &future_wait, &f->line);
}

static Future *check_unsettled(lua_State *L, const char *function) {
  Future *f = luaL_checkudata(L, 1, FUTURE);
  if (f->settled) luaL_error(L, "%s: the future has been settled before", function);
  return f;
}

/* future:resolve(...): its awaiters go on with these values. Twice is an error. */
static int future_resolve(lua_State *L) {
  Future *f = check_unsettled(L, "future:resolve");
  int n = lua_gettop(L) - 1;
  if (n > 1) {
    lua_createtable(L, n, 0);
    lua_insert(L, 2);
    for (int i = n; i >= 1; i--) lua_rawseti(L, 2, i);
  }
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  f->results = n;
  f->settled = true;
  waiters_wake_all(&f->line);
  return 0;
}

/* future:reject(err): its awaiters raise err. One that nobody awaits is reported as a failed task.
 */
static int future_reject(lua_State *L) {
  Future *f = check_unsettled(L, "future:reject");
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_createtable(L, 2, 0);
  lua_insert(L, 2);
  lua_rawseti(L, 2, 1);
  luaL_traceback(L, L, NULL, 1); /* where it was rejected */
  lua_rawseti(L, 2, 2);
  lua_setiuservalue(L, 1, 1);
  f->settled = f->rejected = true;
  f->observed = f->line.count > 0;
  if (!f->observed)
    report_unawaited(L, 1, &f->observed, "moonloop: a future was rejected and nobody awaited it",
                     NULL);
  waiters_wake_all(&f->line);
  return 0;
}

int future_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"await", future_await},
                                     {"resolve", future_resolve},
                                     {"reject", future_reject},
                                     {NULL, NULL}};
  Future *f = lua_newuserdatauv(L, sizeof *f, 1);
  *f = (Future){0};
  waiters_init(&f->line);
  modules_set_class(L, FUTURE, methods, NULL, NULL);
  return 1;
}

/* --- event --- */

#define EVENT "moonloop.event"

typedef struct Event {
  Waiters line;
  bool is_set;
} Event;

static int event_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType event_wait_type = {
    .name = "an event", .cancel = leave_line, .finish = event_finish};

/* event:wait(): until it is set; at once when it is */
static int event_wait(lua_State *L) {
  Event *e = luaL_checkudata(L, 1, EVENT);
  if (e->is_set) return 0;
  Task *t = ml_wait_enter(L, "event:wait");
  waiters_join(&e->line, &t->waiter);
  return ml_wait_suspend(L, t, &event_wait_type, &e->line);
}

/* event:set(): all that wait go on, and later ones do not wait */
static int event_set(lua_State *L) {
  Event *e = luaL_checkudata(L, 1, EVENT);
  e->is_set = true;
  waiters_wake_all(&e->line);
  return 0;
}

/* event:clear(): later ones wait again */
static int event_clear(lua_State *L) {
  ((Event *)luaL_checkudata(L, 1, EVENT))->is_set = false;
  return 0;
}

/* event:is_set() -> boolean */
static int event_is_set(lua_State *L) {
  lua_pushboolean(L, ((Event *)luaL_checkudata(L, 1, EVENT))->is_set);
  return 1;
}

int event_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", event_wait},
                                     {"set", event_set},
                                     {"clear", event_clear},
                                     {"is_set", event_is_set},
                                     {NULL, NULL}};
  Event *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (Event){0};
  waiters_init(&e->line);
  modules_set_class(L, EVENT, methods, NULL, NULL);
  return 1;
}
