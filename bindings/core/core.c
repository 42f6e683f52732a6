/* moonloop.core: the primitives that the Lua parts and `ml` are made of. */
#include "base/nearest.h"
#include "bindings/args.h"
#include "bindings/core/alarm.h"
#include "bindings/core/cancel_scope.h"
#include "bindings/core/completions.h"
#include "bindings/core/expiry.h"
#include "bindings/core/future.h"
#include "bindings/core/gate.h"
#include "bindings/core/join.h"
#include "bindings/core/open.h"
#include "bindings/core/protect.h"
#include "bindings/core/queue.h"
#include "bindings/core/raised.h"
#include "bindings/core/semaphore.h"
#include "bindings/core/task_group.h"
#include "bindings/core/var.h"
#include "bindings/options.h"
#include "core/added_module.h"
#include "core/counted_list.h"
#include "core/error.h"
#include "core/error_text.h"
#include "core/returned_error.h"
#include "core/scheduler.h"
#include "core/script_place.h"
#include "core/states.h"
#include "core/traceback.h"
#include "transfer/transfer.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>

#define NAMES_MAX 500 /* most known names of options or functions */

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

/* sleep(seconds): suspends the task for at least that long; 0 lets every ready task run once. */
static int l_core_sleep(lua_State *L) {
  double seconds = args_check_seconds(L, 1);
  Task *t = ml_wait_enter(L, "ml.sleep");
  if (seconds == 0) {
    t->timer.place = 0;
    ml_wait_wake(ml_wait_waker(t)); /* it is ready again, after the others */
    return ml_wait_suspend(L, t, &sleep_wait, &scheduler_yields);
  }
  t->timer = (Timer){0};
  if (timer_set(&t->rt->timers, &t->timer, timer_due(runtime_now(t->rt), seconds), sleep_over) != 0)
    return script_place_error(L, "ml.sleep: not enough memory");
  return ml_wait_suspend(L, t, &sleep_wait, NULL);
}

/* now() -> seconds of the monotonic clock */
static int l_core_now(lua_State *L) {
  lua_pushnumber(L, clock_seconds(&runtime_of(L)->timers.clock));
  return 1;
}

/* time() -> whole seconds since 1970, including the jumps of a virtual clock, unlike os.time */
static int l_core_time(lua_State *L) {
  lua_pushinteger(L, clock_day_seconds(&runtime_of(L)->timers.clock));
  return 1;
}

/* day_time() -> the same with a fraction: ml.time.now */
static int l_core_day_time(lua_State *L) {
  lua_pushnumber(L, (double)clock_day_time(&runtime_of(L)->timers.clock) / 1e9);
  return 1;
}

/* hook_coroutines(): from now on the main task's debug hook applies to new coroutines too */
static int l_core_hook_coroutines(lua_State *L) {
  runtime_of(L)->user_hooks.in_coroutines = true;
  return 0;
}

/* as_main(task): its debug hook applies to all tasks, as the main task's does */
static int l_core_as_main(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  if (handle->task) handle->task->is_main = true;
  return 0;
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
  if (level)
    task_set_spawn_site(L, child, level);
  else
    task_share_spawn_site(child, parent);
  return 1;
}

/* spawn(f, ...) -> task: a child of the running task; it first runs on the next pass.
   spawn{f, ..., cpu = seconds, slice = seconds} -> task: the same with limits. */
static int l_core_spawn(lua_State *L) {
  if (!lua_isfunction(L, 1)) {
    if (args_is_item(L, 1)) {
      check_true(L, lua_gettop(L) == 1, 2, "the arguments belong in the list");
      return start_item(L, 1);
    }
    if (lua_isnoneornil(L, 1))
      check_fail(L, 1, "function expected, got nothing; f(x) is written f, x here");
    check_callable(L, 1);
  }
  return start_child(L, 1, lua_gettop(L) - 1);
}

/* spawn_for(level, f, ...): spawn for a Lua part. The site is the caller `level` levels up; `f` can
   be a list, as for spawn. Level 0, of functions alone: the site of the running task. */
static int l_core_spawn_for(lua_State *L) {
  int level = (int)check_integer(L, 1);
  if (!lua_isfunction(L, 2) && args_is_item(L, 2)) {
    lua_settop(L, 2);
    return start_item(L, level);
  }
  return start_child(L, level, lua_gettop(L) - 2);
}

/* spawn_host(f, ...) -> task: for what a Lua part does behind the back of the task that it was
   called by: one of its own, that nobody's cancel or limit reaches, hidden from users. */
static int l_core_spawn_host(lua_State *L) {
  const Task *by = args_require_task(L, "ml.spawn");
  Task *t = task_spawn(L, by->rt, NULL, lua_gettop(L) - 1);
  t->is_host = true;
  return 1;
}

/* current() -> task | nil */
static int l_core_current(lua_State *L) {
  Task *t = task_current(L);
  if (!t)
    lua_pushnil(L);
  else
    task_push_handle(L, t);
  return 1;
}

/* checkpoint(function): raises what a wait here would raise: a pending cancel, or the error that
   `function` cannot wait here. */
static int l_core_checkpoint(lua_State *L) {
  ml_wait_enter(L, check_string(L, 1));
  return 0;
}

/* is_own_cancel(err) -> boolean: is it a cancel that is in force for the running task? */
static int l_core_is_own_cancel(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, scope_is_own_cancel(L, 1));
  return 1;
}

/* is_callable(v) -> boolean */
static int l_core_is_callable(lua_State *L) {
  lua_pushboolean(L, args_is_callable(L, 1));
  return 1;
}

/* is_task(v) -> boolean */
static int l_core_is_task(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, TASK_HANDLE) != NULL);
  return 1;
}

/* is_error(v) -> boolean: is it one of moonloop's error objects? */
static int l_core_is_error(lua_State *L) {
  lua_pushboolean(L, error_is(L, 1));
  return 1;
}

/* error(fields) -> error object: gives the table {kind=, message=, ...} the metatable. */
static int l_core_error(lua_State *L) {
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  error_set_metatable(L);
  return 1;
}

/* error_text(v) -> string: an error value as reports show it. */
static int l_core_error_text(lua_State *L) {
  check_any(L, 1);
  error_text_push(L, 1);
  return 1;
}

/* error_causes(v) -> string | nil: the causes of an error, as reports show them. */
static int l_core_error_causes(lua_State *L) {
  check_any(L, 1);
  return error_text_push_causes(L, 1);
}

/* fail(message): raises the text with the line of the calling script, skipping Lua parts of the
   host in between. */
static int l_core_fail(lua_State *L) { return script_place_error(L, "%s", check_string(L, 1)); }

/* raise(value, origin): raises the value. The text `origin`, or nil, says where it was raised at
   first, in another task: reports show it. */
static int l_core_raise(lua_State *L) {
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) return traceback_raise(L);
  lua_settop(L, 1);
  return lua_error(L);
}

/* origin(value) -> text | nil: for a message handler: where the error was raised, if that was in
   another task. */
static int l_core_origin(lua_State *L) {
  Task *t = task_current(L);
  lua_settop(L, 1);
  if (!t) return 0;
  traceback_push(L, t, 1);
  return 1;
}

/* Reads the list of strings at `index`; they stay on the stack. */
static size_t read_names(lua_State *L, int index, const char *names[NAMES_MAX]) {
  size_t n = 0;
  check_type(L, index, LUA_TTABLE);
  luaL_checkstack(L, NAMES_MAX + 1, NULL);
  for (; n < NAMES_MAX && lua_rawgeti(L, index, (lua_Integer)n + 1) == LUA_TSTRING; n++)
    names[n] = lua_tostring(L, -1);
  return n;
}

/* place() -> "app.lua:12": the line of the calling script, or nil. */
static int l_core_place(lua_State *L) {
  lua_Debug ar;
  if (script_place_find(L, 1, &ar))
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  else
    lua_pushnil(L);
  return 1;
}

/* bad_self(value, class, method): raises that the method of a class in Lua was called on another
   value. */
static int l_core_bad_self(lua_State *L) {
  return check_self_raise(L, 1, check_string(L, 2), check_string(L, 3));
}

/* nearest(name, {known name, ...}) -> a similar name, or nil (nearest.h) */
static int l_core_nearest(lua_State *L) {
  const char *names[NAMES_MAX];
  size_t n = read_names(L, 2, names);
  lua_pushstring(L, nearest_name(check_string(L, 1), names, n));
  return 1;
}

/* returned_error(f) -> the last error object returned to the function, or nil (returned_error.h) */
static int l_core_returned_error(lua_State *L) {
  returned_error_push(L, 1);
  return 1;
}

/* bad_item(function, number, value): raises that the item cannot be run (args.h). */
static int l_core_bad_item(lua_State *L) {
  return args_bad_item(L, check_string(L, 1), (int)check_integer(L, 2), 3);
}

/* unknown(what, name, whose, {known name, ...}) -> text: the message for an unknown name
   (options.h). */
static int l_core_unknown(lua_State *L) {
  const char *names[NAMES_MAX];
  size_t n = read_names(L, 4, names);
  options_push_unknown(L, check_string(L, 1), 2, check_string(L, 3), names, n);
  return 1;
}

/* note_module(name, table): the table is what `require(name)` returns in every state, including a
   worker's, so it crosses by name instead of being copied. */
static int l_core_note_module(lua_State *L) {
  check_type(L, 2, LUA_TTABLE);
  transfer_note_module(L, check_string(L, 1), 2);
  return 0;
}

/* is_added_module(name) -> boolean: is it one of ml_add_module's? */
static int l_core_is_added_module(lua_State *L) {
  lua_pushboolean(L, added_module_exists(runtime_of(L), check_string(L, 1)));
  return 1;
}

/* counted(list) -> list whose field `n` is hidden from pairs: see counted_list.h. Upvalue 1 is the
   metatable of such lists. */
static int l_core_counted(lua_State *L) {
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 1);
  return 1;
}

int luaopen_moonloop_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", l_core_sleep},
                                       {"as_main", l_core_as_main},
                                       {"hook_coroutines", l_core_hook_coroutines},
                                       {"now", l_core_now},
                                       {"time", l_core_time},
                                       {"day_time", l_core_day_time},
                                       {"spawn", l_core_spawn},
                                       {"spawn_for", l_core_spawn_for},
                                       {"spawn_host", l_core_spawn_host},
                                       {"alarm", alarm_new},
                                       {"current", l_core_current},
                                       {"timeout", cancel_scope_timeout},
                                       {"shield", cancel_scope_shield},
                                       {"shield_for", cancel_scope_shield_for},
                                       {"deadline", cancel_scope_deadline},
                                       {"expire", expiry_new},
                                       {"catch", protect_catch},
                                       {"join", join_tasks},
                                       {"make_gather", join_make_gather},
                                       {"outcome", join_outcome},
                                       {"told", join_told},
                                       {"gate", gate_new},
                                       {"future", future_new},
                                       {"event", future_new_event},
                                       {"semaphore", semaphore_new},
                                       {"lock", semaphore_new_lock},
                                       {"queue", queue_new},
                                       {"var", var_new},
                                       {"on_raised", raised_listen},
                                       {"vars", var_all},
                                       {"set_vars", var_set_all},
                                       {"completions", completions_new},
                                       {"group", task_group},
                                       {"checkpoint", l_core_checkpoint},
                                       {"is_own_cancel", l_core_is_own_cancel},
                                       {"is_callable", l_core_is_callable},
                                       {"is_task", l_core_is_task},
                                       {"is_error", l_core_is_error},
                                       {"error", l_core_error},
                                       {"error_causes", l_core_error_causes},
                                       {"error_text", l_core_error_text},
                                       {"fail", l_core_fail},
                                       {"raise", l_core_raise},
                                       {"origin", l_core_origin},
                                       {"bad_self", l_core_bad_self},
                                       {"place", l_core_place},
                                       {"nearest", l_core_nearest},
                                       {"returned_error", l_core_returned_error},
                                       {"bad_item", l_core_bad_item},
                                       {"unknown", l_core_unknown},
                                       {"note_module", l_core_note_module},
                                       {"is_added_module", l_core_is_added_module},
                                       {NULL, NULL}};
  static const luaL_Reg counting[] = {
      {"first_results", join_first_results}, {"counted", l_core_counted}, {NULL, NULL}};
  luaL_newlib(L, functions);
  counted_list_push_class(L);
  luaL_setfuncs(L, counting, 1);
  states_note_transparent(L, cancel_scope_timeout);
  states_note_transparent(L, cancel_scope_shield);
  states_note_transparent(L, cancel_scope_shield_for);
  states_note_transparent(L, protect_catch);
  states_note_transparent(L, task_group);
  return 1;
}
