/* Task handles: what ml.spawn returns. */
#include "bindings/core/task_handle.h"

#include "bindings/args.h"
#include "core/origin.h"
#include "core/script_place.h"
#include "core/stack_text.h"
#include "core/task.h"
#include "core/weak_keys.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- task:await() --- */

static void await_cancel(Task *t, void *op) {
  (void)op;
  task_unobserve(&t->observer);
}

static int await_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return task_push_outcome(L, 1);
}

static void await_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  const Task *awaited = op;
  snprintf(text, size, awaited->name ? "task %llu (%s)" : "task %llu",
           (unsigned long long)awaited->id, awaited->name);
}

static const WaitType await_wait = {
    .name = "a task", .cancel = await_cancel, .finish = await_finish, .describe = await_describe};

static void awaited_task_ended(TaskObserver *observer, Task *ended) {
  ended->handle->audience.heard = true;
  Task *t = container_of(observer, Task, observer);
  ml_wait_wake(ml_wait_waker(t));
}

/* task:await() -> results: waits until the task has ended; raises its error. Does not suspend if it
   has already ended. */
static int l_task_await(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  lua_settop(L, 1);
  if (!handle->task) return task_push_outcome(L, 1);
  Task *t = ml_wait_enter(L, "task:await");
  if (handle->task == t) return script_place_error(L, "task:await: a task cannot await itself");
  t->observer.ended = awaited_task_ended;
  task_observe(handle->task, &t->observer);
  return ml_wait_suspend(L, t, &await_wait, handle->task);
}

/* --- the rest --- */

/* task:cancel([reason]) -> boolean: false if the task had ended. The reason may be any value; it is
   err.reason of the Cancelled error. A second cancel changes nothing. */
static int l_task_cancel(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  lua_settop(L, 2);
  lua_pushboolean(L, handle->task != NULL);
  if (!handle->task || handle->task->cancelled) return 1;
  lua_pushvalue(L, 2);
  CancelCause *cause = cause_new_from(L);
  if (!cause) return script_place_error(L, "not enough memory");
  task_cancel(handle->task, cause);
  cause_drop(cause);
  return 1;
}

static TaskStatus status_of(const TaskHandle *handle) {
  if (!handle->task) return handle->status;
  return handle->task->ending ? TASK_SUSPENDED : (TaskStatus)handle->task->status;
}

/* task:status() -> "pending" | "running" | "suspended" | "done" | "failed" | "cancelled" */
static int l_task_status(lua_State *L) {
  lua_pushstring(L, task_status_name(status_of(args_check_task(L, 1))));
  return 1;
}

/* task:traceback() -> string: where a live task is, or where a failed one failed. */
static int l_task_traceback(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  lua_settop(L, 1);
  if (handle->task) {
    stack_text_push(L, handle->task->co, 0);
    return 1;
  }
  lua_pushliteral(L, "");
  if (handle->status == TASK_DONE) return 1;
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, -1, 2);
  origin_render(L);
  if (lua_isnil(L, -1)) lua_pushliteral(L, "");
  return 1;
}

#define NAMES "moonloop.task_names" /* registry: handle -> name given by a script; weak keys */

/* task.name, task.id, and the methods (upvalue 1). */
static int l_task_index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  TaskHandle *handle = args_check_task(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "id") == 0) {
    lua_pushinteger(L, (lua_Integer)handle->id);
  } else if (strcmp(key, "name") == 0) {
    char site[80];
    lua_getfield(L, LUA_REGISTRYINDEX, NAMES);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    if (handle->task && handle->task->name)
      lua_pushstring(L, handle->task->name);
    else
      lua_pushfstring(L, "task at %s", task_site(handle->source, handle->line, site));
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* task.name = "text", shown in reports. The table keeps the text that the task points to. */
static int l_task_newindex(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  const char *key = check_string(L, 2);
  if (strcmp(key, "name") != 0)
    return script_place_error(L, "a task has no field '%s' that can be set (only 'name')", key);
  const char *name = check_string(L, 3);
  lua_getfield(L, LUA_REGISTRYINDEX, NAMES);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  if (handle->task) handle->task->name = name;
  return 0;
}

static int l_task_tostring(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  lua_getfield(L, 1, "name");
  lua_pushfstring(L, "task %d (%s, %s)", (int)handle->id, lua_tostring(L, -1),
                  task_status_name(status_of(handle)));
  return 1;
}

void task_handle_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"await", l_task_await},
                                     {"cancel", l_task_cancel},
                                     {"status", l_task_status},
                                     {"traceback", l_task_traceback},
                                     {NULL, NULL}};
  luaL_newmetatable(L, TASK_HANDLE);
  task_set_handle_class(L);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, l_task_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_task_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, l_task_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  lua_newtable(L);
  weak_keys_set(L);
  lua_setfield(L, LUA_REGISTRYINDEX, NAMES);
}
