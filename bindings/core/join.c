#include "bindings/core/join.h"

#include "bindings/args.h"
#include "core/origin.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/wait.h"

#include <lauxlib.h>
#include <stdio.h>

typedef struct JoinItem {
  TaskObserver observer;
  struct Join *join;
  union {
    Task *task;         /* while it is observed */
    TaskHandle *handle; /* while its failure is watched; the stack keeps it */
  };
  bool owned;
  bool watched;    /* it has failed, and that has not decided the wait */
  bool hands_over; /* its first result, or its handle if it failed, replaces its argument
                    */
} JoinItem;

/* What ends the wait before all have ended. */
typedef enum JoinMode { JOIN_ALL, JOIN_ERROR, JOIN_FIRST, JOIN_SUCCESS } JoinMode;

/* A userdata on the stack of the function that waits. */
typedef struct Join {
  Waker waker;
  lua_State *L; /* that function's */
  int n;
  int waiting, waiting_owned; /* items whose task lives */
  int watched;                /* items that are watched */
  int decisive;               /* 1 + the index of the task that ended the wait, or 0 */
  JoinMode mode;
  bool stopping;  /* the owned ones are cancelled; only they are waited for */
  bool cancelled; /* because the caller is */
  JoinItem items[];
} Join;

static bool has_failed(const TaskHandle *handle, TaskStatus status) {
  return status != TASK_DONE || handle->returned_error;
}

static bool is_over(const Join *join) {
  return join->stopping ? join->waiting_owned == 0 : join->waiting == 0;
}

static void watch_failure(Join *join, JoinItem *item, TaskHandle *handle) {
  item->watched = true;
  item->handle = handle;
  handle->audience.watchers++;
  join->watched++;
}

/* `told`: the caller will learn of the failures. Otherwise they are reported. */
static void stop_watching(Join *join, bool told) {
  for (int i = 0; i < join->n; i++) {
    JoinItem *item = &join->items[i];
    if (!item->watched) continue;
    item->handle->audience.watchers--;
    if (told) item->handle->audience.heard = true;
  }
  report_watch_over(join->waker.task->rt);
}

static inline void detach(Join *join, bool told) {
  for (int i = 0; i < join->n; i++) task_unobserve(&join->items[i].observer);
  if (join->watched) stop_watching(join, told);
}

/* The wait is over. False if that is because the caller was cancelled. */
static inline bool end_wait(Join *join) {
  bool cut = join->cancelled && !join->decisive;
  detach(join, !cut);
  return !cut;
}

static void cancel_owned(Join *join, CancelCause *cause) {
  join->stopping = true;
  for (int i = 0; i < join->n; i++) {
    JoinItem *item = &join->items[i];
    if (item->owned && item->observer.link) task_cancel(item->task, cause);
  }
}

static bool is_decisive(const Join *join, bool failed) {
  return join->mode == JOIN_FIRST || (join->mode == JOIN_ERROR && failed) ||
         (join->mode == JOIN_SUCCESS && !failed);
}

/* The wait is decided: only the clean-up of the owned ones is still waited for. */
static void decide(Join *join, int index, Task *of) {
  join->decisive = index + 1;
  join->stopping = true;
  CancelCause *cause = cause_new(of->rt, "its result is no longer needed");
  if (!cause) return; /* out of memory: they are waited for without a cancel */
  cancel_owned(join, cause);
  cause_drop(cause);
}

/* Nothing here can fail: there is room on both stacks, and the handle of a failed task is kept. If
   it has none, memory had run out. */
static void hand_over(const Join *join, const JoinItem *item, Task *ended, bool failed) {
  lua_State *from = ended->co;
  if (failed && ended->handle)
    task_push_handle(from, ended);
  else if (failed || lua_gettop(from) == 0)
    lua_pushnil(from);
  else
    lua_settop(from, 1);
  lua_xmove(from, join->L, 1);
  lua_replace(join->L, (int)(item - join->items) + 1);
}

static void item_ended(TaskObserver *observer, Task *ended) {
  JoinItem *item = (JoinItem *)(void *)observer;
  Join *join = item->join;
  TaskHandle *handle = ended->handle;
  bool failed = ended->status != TASK_DONE || (handle && handle->returned_error);
  join->waiting--;
  if (item->owned) join->waiting_owned--;
  if (item->hands_over) hand_over(join, item, ended, failed);
  if (join->stopping) {
    /* nobody will look at it: a failure is reported */
  } else if (is_decisive(join, failed)) {
    if (failed && handle) handle->audience.heard = true;
    decide(join, (int)(item - join->items), join->waker.task);
  } else if (failed && handle && ended->status == TASK_FAILED) {
    watch_failure(join, item, handle);
  }
  if (is_over(join)) ml_wait_wake(join->waker);
}

static void join_cancel(Task *t, void *op) {
  Join *join = op;
  join->cancelled = true;
  CancelCause *cause = cause_for_others(scope_pending(t));
  cancel_owned(join, cause);
  cause_drop(cause);
  if (is_over(join)) ml_wait_wake(join->waker);
}

static int join_finish(lua_State *L, Task *t, void *op) {
  Join *join = op;
  if (!end_wait(join)) return wait_raise_cancel(L, t);
  if (join->decisive)
    lua_pushinteger(L, join->decisive);
  else
    lua_pushnil(L);
  return 1;
}

static void join_describe(const Task *t, const void *op, char *text, size_t size) {
  const Join *join = op;
  (void)t;
  int first = 0;
  while (first < join->n && !join->items[first].observer.link) first++;
  if (first < join->n)
    snprintf(text, size, "%d of %d tasks, the first is task %llu", join->waiting, join->n,
             (unsigned long long)join->items[first].task->id);
  else
    snprintf(text, size, "%d tasks", join->n);
}

static const WaitType join_wait = {.name = "tasks",
                                   .cancel = join_cancel,
                                   .finish = join_finish,
                                   .cancel_is_deferred = true,
                                   .describe = join_describe};

/* Pushes a wait of `t` for n tasks, none of which has been added yet. */
static Join *join_new(lua_State *L, Task *t, int n, JoinMode mode) {
  Join *join = lua_newuserdatauv(L, sizeof *join + (size_t)n * sizeof(JoinItem), 0);
  *join = (Join){.waker = ml_wait_waker(t), .L = L, .n = n, .mode = mode};
  for (int i = 0; i < n; i++) join->items[i] = (JoinItem){0};
  return join;
}

/* Makes the live task `t` the item `i`. */
static void join_watch_task(Join *join, int i, Task *t, bool owned) {
  JoinItem *item = &join->items[i];
  item->join = join;
  item->owned = owned;
  item->observer.ended = item_ended;
  item->task = t;
  task_observe(t, &item->observer);
  join->waiting++;
  if (owned) join->waiting_owned++;
}

/* Makes the task of `handle` the item `i`. A task that has already ended may decide the wait; that
   is noted for `join_begin`. */
static void join_watch(Join *join, int i, TaskHandle *handle, bool owned) {
  if (handle->task)
    join_watch_task(join, i, handle->task, owned);
  else if (join->decisive)
    return;
  else if (is_decisive(join, has_failed(handle, handle->status)))
    join->decisive = i + 1;
  else if (handle->status == TASK_FAILED && !handle->audience.heard)
    watch_failure(join, &join->items[i], handle);
}

/* All items have been added: waits, and returns the results of type->finish. */
static int join_begin(lua_State *L, Task *t, const WaitType *type, Join *join) {
  if (join->decisive) decide(join, join->decisive - 1, t);
  return is_over(join) ? type->finish(L, t, join) : ml_wait_suspend(L, t, type, join);
}

int join_tasks(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  static const char *const modes[] = {"all", "error", "first", "success", NULL};
  int n = (int)luaL_checkinteger(L, 2);
  JoinMode mode = luaL_checkoption(L, 3, "all", modes);
  lua_settop(L, 4);
  Task *t = ml_wait_enter(L, "ml.gather");
  Join *join = join_new(L, t, n, mode);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    TaskHandle *handle = args_check_task(L, -1);
    if (handle->task == t) {
      detach(join, false);
      return script_place_error(L, "ml.gather: a task cannot wait for itself");
    }
    bool owned = lua_istable(L, 4) && (lua_rawgeti(L, 4, i + 1), lua_toboolean(L, -1));
    lua_settop(L, 5);
    join_watch(join, i, handle, owned);
  }
  return join_begin(L, t, &join_wait, join);
}

/* Pushes the first result of the ended task at `index`; nil if it has none. */
static void push_first_result(lua_State *L, int index) {
  TaskHandle *handle = lua_touserdata(L, index);
  if (!handle->results) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, index, 1);
  if (handle->results == 1) return;
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
}

/* --- ml.gather of its arguments --- */

static int gather_finish(lua_State *L, Task *t, void *op) {
  Join *join = op;
  int n = join->n;
  if (!end_wait(join)) return wait_raise_cancel(L, t);
  if (join->decisive) {
    if (!lua_isuserdata(L, join->decisive)) return script_place_error(L, "not enough memory");
    task_push_outcome(L, join->decisive); /* raises, unless nil and an error were returned */
    lua_settop(L, n + 3);
    lua_rawgeti(L, n + 2, 2);
    return lua_error(L);
  }
  for (int i = 1; i <= n; i++)
    if (join->items[i - 1].hands_over)
      lua_pushvalue(L, i);
    else
      push_first_result(L, i);
  return n;
}

static const WaitType gather_wait = {.name = "tasks",
                                     .cancel = join_cancel,
                                     .finish = gather_finish,
                                     .cancel_is_deferred = true,
                                     .describe = join_describe};

/* The handle at `index`, or NULL if that is not a task. */
static TaskHandle *to_handle(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
  bool is_handle = lua_topointer(L, -1) == runtime_of(L)->tasks.handle_meta;
  lua_pop(L, 1);
  return is_handle ? lua_touserdata(L, index) : NULL;
}

/* Do the arguments have the form (list [, options])? */
static bool is_list_form(lua_State *L, int n) {
  if (n > 2 || !args_is_item(L, 1)) return false;
  if (n == 1) return true;
  if (!args_is_item(L, 2)) return false;
  bool is_options = lua_geti(L, 2, 1) == LUA_TNIL;
  lua_pop(L, 1);
  return is_options;
}

static void check_item(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  bool good = args_is_callable(L, index);
  if (!good && lua_istable(L, index)) {
    lua_geti(L, index, 1);
    good = args_is_callable(L, -1);
    lua_pop(L, 1);
  }
  TaskHandle *handle = good ? NULL : to_handle(L, index);
  if (handle && handle->task && handle->task == task_current(L))
    script_place_error(L, "ml.gather: a task cannot wait for itself");
  if (!good && !handle) args_bad_item(L, "ml.gather", index, index);
}

/* Starts the items that are not tasks yet. A handle is made only if a task fails and it is needed.
   All of them count as spawned in the same line. */
static void start_items(lua_State *L, Task *t, Join *join) {
  Task *first = NULL;
  for (int i = 1; i <= join->n; i++) {
    if (to_handle(L, i)) continue;
    JoinItem *item = &join->items[i - 1];
    lua_pushvalue(L, i);
    item->task = args_start_item(L, t);
    item->hands_over = true;
    if (!first)
      task_set_spawn_site(L, first = item->task, 1);
    else
      task_share_spawn_site(item->task, first);
  }
}

static int gather_list_over(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

static int l_join_gather(lua_State *L) {
  int n = lua_gettop(L);
  if (n == 0) return 0;
  if (is_list_form(L, n)) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, n, LUA_MULTRET, 0, gather_list_over);
    return lua_gettop(L);
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  for (int i = 1; i <= n; i++) check_item(L, i);
  Task *t = ml_wait_enter(L, "ml.gather");
  luaL_checkstack(L, n, "too many items"); /* for the results */
  Join *join = join_new(L, t, n, JOIN_ERROR);
  start_items(L, t, join);
  for (int i = 0; i < n; i++)
    if (join->items[i].hands_over)
      join_watch_task(join, i, join->items[i].task, true);
    else
      join_watch(join, i, lua_touserdata(L, i + 1), false);
  return join_begin(L, t, &gather_wait, join);
}

int join_make_gather(lua_State *L) {
  lua_settop(L, 1);
  states_note_transparent(L, l_join_gather);
  lua_pushcclosure(L, l_join_gather, 1);
  return 1;
}

int join_first_results(lua_State *L) {
  int n = (int)luaL_checkinteger(L, 2);
  lua_createtable(L, n, 1);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    args_check_task(L, -1);
    push_first_result(L, lua_gettop(L));
    lua_rawseti(L, 3, i);
    lua_settop(L, 3);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, 3, "n");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 3);
  return 1;
}

int join_told(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  bool ended = !handle->task;
  if (ended) handle->audience.heard = true;
  lua_pushboolean(L, ended);
  return 1;
}

int join_outcome(lua_State *L) {
  TaskHandle *handle = args_check_task(L, 1);
  luaL_argcheck(L, !handle->task, 1, "the task has not ended");
  lua_settop(L, 1);
  handle->audience.heard = true;
  lua_getiuservalue(L, 1, 1);
  bool done = handle->status == TASK_DONE && !handle->returned_error;
  lua_pushboolean(L, done);
  if (done) {
    if (handle->results > 1)
      lua_rawgeti(L, 2, 1);
    else
      lua_pushvalue(L, 2);
    return 2;
  }
  lua_rawgeti(L, 2, handle->status == TASK_DONE ? 2 : 1);
  if (handle->status == TASK_DONE)
    lua_pushnil(L);
  else
    lua_rawgeti(L, 2, 2);
  origin_render(L);
  return 3;
}
