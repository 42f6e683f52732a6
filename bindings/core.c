/* moonloop.core: the primitives that the Lua parts and `ml` are made of. */
#include "added_module.h"
#include "args.h"
#include "error.h"
#include "error_text.h"
#include "join.h"
#include "modules.h"
#include "scheduler.h"
#include "states.h"
#include "transfer.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>

/* --- ml.sleep --- */

static void sleep_cancel(Task *t, void *op) {
  (void)op;
  timer_clear(&t->rt->timers, &t->timer);
}

static int sleep_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static void sleep_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)op;
  uint64_t due = timer_due_at(&t->rt->timers, &t->timer), now = runtime_now(t->rt);
  if (due == TIMER_NEVER)
    snprintf(text, size, "sleep without an end");
  else
    snprintf(text, size, "sleep for %.3f s more", due > now ? (double)(due - now) / 1e9 : 0);
}

static const WaitType sleep_wait = {
    .name = "sleep", .cancel = sleep_cancel, .finish = sleep_finish, .describe = sleep_describe};

static void sleep_over(Timer *timer) {
  Task *t = container_of(timer, Task, timer);
  ml_wait_wake(ml_wait_waker(t));
}

/* sleep(seconds): suspends the task at least that long; 0 lets every ready task run once. */
static int core_sleep(lua_State *L) {
  double seconds = args_check_seconds(L, 1);
  Task *t = ml_wait_enter(L, "ml.sleep");
  if (seconds == 0) {
    t->timer.place = 0;
    ml_wait_wake(ml_wait_waker(t)); /* it is ready again: behind the others */
    return ml_wait_suspend(L, t, &sleep_wait, &scheduler_yields);
  }
  t->timer = (Timer){0};
  if (timer_set(&t->rt->timers, &t->timer, timer_due(runtime_now(t->rt), seconds), sleep_over) != 0)
    return luaL_error(L, "ml.sleep: not enough memory");
  return ml_wait_suspend(L, t, &sleep_wait, NULL);
}

/* now() -> seconds of the monotonic clock */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (double)runtime_now(runtime_of(L)) / 1e9);
  return 1;
}

/* --- ml.spawn, ml.current --- */

static int start_item(lua_State *L, int level) {
  Task *child = args_spawn_item(L, args_require_task(L, "ml.spawn"));
  task_set_spawn_site(L, child, level);
  return 1;
}

static int start_child(lua_State *L, int level, int nargs) {
  Task *parent = args_require_task(L, "ml.spawn");
  Task *child = task_spawn(L, parent->rt, parent, nargs);
  task_set_spawn_site(L, child, level);
  return 1;
}

/* spawn(f, ...) -> task: a child of the running task; it first runs on the next pass.
   spawn{f, ..., cpu = seconds, slice = seconds} -> task: the same with limits. */
static int core_spawn(lua_State *L) {
  if (!lua_isfunction(L, 1)) {
    if (args_is_item(L, 1)) {
      luaL_argcheck(L, lua_gettop(L) == 1, 2, "the arguments belong into the list");
      return start_item(L, 1);
    }
    luaL_argexpected(L, args_is_callable(L, 1), 1, "function");
  }
  return start_child(L, 1, lua_gettop(L) - 1);
}

/* spawn_for(level, f, ...): spawn for a Lua part, whose caller `level` levels up is the site; `f`
   can be a list, as for spawn. */
static int core_spawn_for(lua_State *L) {
  int level = (int)luaL_checkinteger(L, 1);
  if (!lua_isfunction(L, 2) && args_is_item(L, 2)) {
    lua_settop(L, 2);
    return start_item(L, level);
  }
  return start_child(L, level, lua_gettop(L) - 2);
}

/* current() -> task | nil */
static int core_current(lua_State *L) {
  Task *t = task_current(L);
  if (!t)
    lua_pushnil(L);
  else
    task_push_handle(L, t);
  return 1;
}

/* checkpoint(function): raises, in the name of `function`, what a wait here would raise: a pending
   cancel, or that nothing can wait here. */
static int core_checkpoint(lua_State *L) {
  ml_wait_enter(L, luaL_checkstring(L, 1));
  return 0;
}

/* is_own_cancel(err) -> boolean: is it a cancel in force for the running task? */
static int core_is_own_cancel(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, scope_is_own_cancel(L, 1));
  return 1;
}

/* is_callable(v) -> boolean */
static int core_is_callable(lua_State *L) {
  lua_pushboolean(L, args_is_callable(L, 1));
  return 1;
}

/* is_task(v) -> boolean */
static int core_is_task(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, TASK_HANDLE) != NULL);
  return 1;
}

/* is_error(v) -> boolean: is it one of moonloop's error objects? */
static int core_is_error(lua_State *L) {
  lua_pushboolean(L, error_is(L, 1));
  return 1;
}

/* error(fields) -> error object: gives the table {kind=, message=, ...} the metatable. */
static int core_error(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  error_set_metatable(L);
  return 1;
}

/* error_text(v) -> string: what was raised, as reports show it. */
static int core_error_text(lua_State *L) {
  luaL_checkany(L, 1);
  error_push_text(L, 1);
  return 1;
}

/* note_module(name, table): the table is what `require(name)` gives in every state, a worker's too;
   it crosses by that name instead of being copied. */
static int core_note_module(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  transfer_note_module(L, luaL_checkstring(L, 1), 2);
  return 0;
}

/* is_added_module(name) -> boolean: is it one of ml_add_module's? */
static int core_is_added_module(lua_State *L) {
  lua_pushboolean(L, added_module_exists(runtime_of(L), luaL_checkstring(L, 1)));
  return 1;
}

int luaopen_moonloop_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", core_sleep},
                                       {"now", core_now},
                                       {"spawn", core_spawn},
                                       {"spawn_for", core_spawn_for},
                                       {"current", core_current},
                                       {"timeout", scope_timeout},
                                       {"shield", scope_shield},
                                       {"deadline", scope_deadline},
                                       {"catch", protect_catch},
                                       {"join", join_tasks},
                                       {"first_results", join_first_results},
                                       {"make_gather", join_make_gather},
                                       {"outcome", join_outcome},
                                       {"has_ended", join_has_ended},
                                       {"gate", gate_new},
                                       {"future", future_new},
                                       {"event", event_new},
                                       {"semaphore", semaphore_new},
                                       {"lock", lock_new},
                                       {"queue", queue_new},
                                       {"var", var_new},
                                       {"completions", completions_new},
                                       {"group", group_new},
                                       {"group_run", group_run},
                                       {"checkpoint", core_checkpoint},
                                       {"is_own_cancel", core_is_own_cancel},
                                       {"is_callable", core_is_callable},
                                       {"is_task", core_is_task},
                                       {"is_error", core_is_error},
                                       {"error", core_error},
                                       {"error_text", core_error_text},
                                       {"note_module", core_note_module},
                                       {"is_added_module", core_is_added_module},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  states_note_transparent(L, scope_timeout);
  states_note_transparent(L, scope_shield);
  states_note_transparent(L, protect_catch);
  states_note_transparent(L, group_run);
  return 1;
}
