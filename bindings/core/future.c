/* ml.future and ml.event: waiting for something that other code does. */
#include "bindings/core/future.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/stack_text.h"
#include "core/task.h"
#include "core/wait.h"

#include <lauxlib.h>

/* --- future --- */

#define FUTURE "moonloop.future"

/* The user value is the only result, a table of several results, or {error}, as for a failed
   task. */
typedef struct Future {
  Waiters line;
  int results;
  Audience audience;
  bool settled, rejected;
} Future;

static int future_outcome(lua_State *L, Future *f) {
  f->audience.heard = true;
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

/* future:await() -> what it was resolved with; raises what it was rejected with. May be called any
   number of times, from any task. */
static int l_future_await(lua_State *L) {
  Future *f = check_self(L, FUTURE);
  lua_settop(L, 1);
  if (f->settled) return future_outcome(L, f);
  Task *t = ml_wait_enter(L, "future:await");
  waiters_join(&f->line, &t->waiter);
  return ml_wait_suspend(L, t, &future_wait, &f->line);
}

static Future *check_unsettled(lua_State *L, const char *function) {
  Future *f = check_self(L, FUTURE);
  if (f->settled) script_place_error(L, "%s: the future has been settled before", function);
  return f;
}

/* future:resolve(...): its awaiters continue with these values. Settling it twice is an error. */
static int l_future_resolve(lua_State *L) {
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

/* future:reject(err): its awaiters raise err. A rejection that nobody awaits is reported like a
   failed task. */
static int l_future_reject(lua_State *L) {
  Future *f = check_unsettled(L, "future:reject");
  check_any(L, 2);
  lua_settop(L, 2);
  lua_createtable(L, 2, 0);
  lua_insert(L, 2);
  lua_rawseti(L, 2, 1);
  stack_text_push(L, L, 1); /* where it was rejected */
  lua_rawseti(L, 2, 2);
  lua_setiuservalue(L, 1, 1);
  f->settled = f->rejected = true;
  f->audience.heard = f->line.count > 0;
  if (!f->audience.heard)
    report_unawaited(L, 1, &f->audience, "a future was rejected and nobody awaited it", NULL);
  waiters_wake_all(&f->line);
  return 0;
}

int future_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"await", l_future_await},
                                     {"resolve", l_future_resolve},
                                     {"reject", l_future_reject},
                                     {NULL, NULL}};
  Future *f = lua_newuserdatauv(L, sizeof *f, 1);
  *f = (Future){0};
  waiters_init(&f->line);
  class_set(L, FUTURE, methods, NULL, NULL);
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

/* event:wait(): waits until it is set; returns at once if it is */
static int l_event_wait(lua_State *L) {
  Event *e = check_self(L, EVENT);
  if (e->is_set) return wait_spared(L, 0, 1);
  Task *t = ml_wait_enter(L, "event:wait");
  waiters_join(&e->line, &t->waiter);
  return ml_wait_suspend(L, t, &event_wait_type, &e->line);
}

/* event:set(): all waiters continue, and later ones do not wait */
static int l_event_set(lua_State *L) {
  Event *e = check_self(L, EVENT);
  e->is_set = true;
  waiters_wake_all(&e->line);
  return 0;
}

/* event:clear(): later ones wait again */
static int l_event_clear(lua_State *L) {
  ((Event *)check_self(L, EVENT))->is_set = false;
  return 0;
}

/* event:is_set() -> boolean */
static int l_event_is_set(lua_State *L) {
  lua_pushboolean(L, ((Event *)check_self(L, EVENT))->is_set);
  return 1;
}

int future_new_event(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", l_event_wait},
                                     {"set", l_event_set},
                                     {"clear", l_event_clear},
                                     {"is_set", l_event_is_set},
                                     {NULL, NULL}};
  Event *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (Event){0};
  waiters_init(&e->line);
  class_set(L, EVENT, methods, NULL, NULL);
  return 1;
}
