#include "join.h"

#include "task.h"

#include <lauxlib.h>
#include <stdio.h>

typedef struct JoinItem {
  TaskObserver observer;
  struct Join *join;
  Task *task; /* while it is observed */
  bool owned;
} JoinItem;

/* What ends the wait before all have ended. */
typedef enum JoinMode { JOIN_ALL, JOIN_ERROR, JOIN_FIRST, JOIN_SUCCESS } JoinMode;

/* A userdata on the stack of the function that waits. */
typedef struct Join {
  Waker waker;
  int n;
  int waiting, waiting_owned; /* items whose task lives */
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

static void detach(Join *join) {
  for (int i = 0; i < join->n; i++) task_unobserve(&join->items[i].observer);
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
  CancelCause *cause = cause_new(of->rt, "it was decided without it");
  if (!cause) return; /* no memory: they are waited for instead */
  cancel_owned(join, cause);
  cause_drop(cause);
}

static void item_ended(TaskObserver *observer, Task *ended) {
  JoinItem *item = (JoinItem *)(void *)observer;
  Join *join = item->join;
  join->waiting--;
  if (item->owned) join->waiting_owned--;
  if (join->stopping) {
    if (ended->status == TASK_FAILED)
      ended->handle->observed = false; /* nobody will look at it: it is to be reported */
  } else if (is_decisive(join, has_failed(ended->handle, ended->status))) {
    decide(join, (int)(item - join->items), join->waker.task);
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
  detach(join);
  if (join->cancelled && !join->decisive) return wait_raise_cancel(L, t);
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

int join_tasks(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  static const char *const modes[] = {"all", "error", "first", "success", NULL};
  int n = (int)luaL_checkinteger(L, 2);
  JoinMode mode = luaL_checkoption(L, 3, "all", modes);
  lua_settop(L, 4);
  Task *t = ml_wait_enter(L, "ml.gather");
  Join *join = lua_newuserdatauv(L, sizeof *join + (size_t)n * sizeof(JoinItem), 0);
  *join = (Join){.waker = ml_wait_waker(t), .n = n, .mode = mode};
  for (int i = 0; i < n; i++) join->items[i].observer.link = NULL;
  int decisive = -1;
  for (int i = 0; i < n; i++) {
    JoinItem *item = &join->items[i];
    lua_rawgeti(L, 1, i + 1);
    TaskHandle *handle = task_check_handle(L, -1);
    if (handle->task == t) {
      detach(join);
      return luaL_error(L, "ml.gather: a task cannot wait for itself");
    }
    item->join = join;
    item->owned = lua_istable(L, 4) && (lua_rawgeti(L, 4, i + 1), lua_toboolean(L, -1));
    lua_settop(L, 5);
    handle->observed = true;
    if (!handle->task) {
      if (decisive < 0 && is_decisive(join, has_failed(handle, handle->status))) decisive = i;
      continue;
    }
    item->observer.ended = item_ended;
    item->task = handle->task;
    task_observe(handle->task, &item->observer);
    join->waiting++;
    if (item->owned) join->waiting_owned++;
  }
  if (decisive >= 0) decide(join, decisive, t);
  return is_over(join) ? join_finish(L, t, join) : ml_wait_suspend(L, t, &join_wait, join);
}

int join_first_results(lua_State *L) {
  int n = (int)luaL_checkinteger(L, 2);
  lua_createtable(L, n, 1);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    TaskHandle *handle = task_check_handle(L, -1);
    if (handle->results > 0) {
      lua_getiuservalue(L, -1, 1);
      if (handle->results > 1) lua_rawgeti(L, -1, 1);
      lua_rawseti(L, 3, i);
    }
    lua_settop(L, 3);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, 3, "n");
  return 1;
}

int join_has_ended(lua_State *L) {
  lua_pushboolean(L, task_check_handle(L, 1)->task == NULL);
  return 1;
}

int join_outcome(lua_State *L) {
  TaskHandle *handle = task_check_handle(L, 1);
  luaL_argcheck(L, !handle->task, 1, "the task has not ended");
  lua_settop(L, 1);
  handle->observed = true;
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
  return 3;
}
