#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"
#include "bindings/options.h"
#include "core/script_place.h"
#include "core/wait.h"
#include "fs/watcher.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH "moonloop.watch"

/* The userdata; its user value is the path. */
typedef struct WatchBox {
  Watcher *watcher;
} WatchBox;

static const char *push_path(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return lua_tostring(L, -1);
}

static void push_event(lua_State *L, TreeWatchEvent *event) {
  static const char *const kinds[] = {[TREE_WATCH_CREATED] = "created",
                                      [TREE_WATCH_CHANGED] = "changed",
                                      [TREE_WATCH_REMOVED] = "removed",
                                      [TREE_WATCH_RENAMED] = "renamed",
                                      [TREE_WATCH_OVERFLOW] = "overflow"};
  lua_createtable(L, 0, event->from ? 3 : 2);
  lua_pushstring(L, kinds[event->kind]);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, event->path);
  lua_setfield(L, -2, "path");
  if (!event->from) return;
  lua_pushstring(L, event->from);
  lua_setfield(L, -2, "from");
}

/* Pushes the first event, nil after the end, or raises the failure. */
static int push_next(lua_State *L, Watcher *w) {
  TreeWatchEvent *event = w->closing ? NULL : watcher_take(w);
  if (event) {
    push_event(L, event);
    free(event);
    return 1;
  }
  if (w->closing || !w->failed) {
    lua_pushnil(L);
    return 1;
  }
  fs_job_fail(L, &w->failure, "ml.fs.watch", push_path(L), NULL);
  return lua_error(L);
}

static void watch_cancel(Task *t, void *op) {
  (void)t;
  ((Watcher *)op)->waiting = false;
}

static int next_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return push_next(L, op);
}

static const WaitType next_wait = {
    .name = "a change of files", .cancel = watch_cancel, .finish = next_finish};

/* watch:next() -> {kind =, path =, from =} | nil: it was closed. Also the call of the object
   itself, for loops. Raises an error of kind "fs" if the system watches no longer. */
static int l_next(lua_State *L) {
  Watcher *w = ((WatchBox *)check_self(L, WATCH))->watcher;
  if (!w || w->closing) return 0;
  if (w->waiting)
    return script_place_error(L, "another task is waiting for the events of this ml.fs.watch");
  if (w->events.first || w->failed) return wait_spared(L, push_next(L, w), wait_cost(0));
  Task *t = ml_wait_enter(L, "watch:next");
  w->waker = ml_wait_waker(t);
  w->waiting = true;
  return ml_wait_suspend(L, t, &next_wait, w);
}

static int l_close(lua_State *L) {
  WatchBox *box = check_self(L, WATCH);
  if (box->watcher) watcher_close(box->watcher);
  return 0;
}

static int l_gc(lua_State *L) {
  WatchBox *box = lua_touserdata(L, 1);
#ifdef ML_DEBUG
  if (box->watcher && !box->watcher->closing) {
    lua_warning(L, "the watch of ", 1);
    lua_warning(L, push_path(L), 1);
    lua_warning(L, " was not closed before it was collected", 0);
  }
#endif
  if (box->watcher) watcher_release(box->watcher);
  box->watcher = NULL;
  return 0;
}

/* The start was cancelled: the object is on the stack of the task, and nobody else has it. */
static void start_cancel(Task *t, void *op) {
  watch_cancel(t, op);
  watcher_close(op);
}

/* The object is on the top. */
static int start_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Watcher *w = op;
  if (w->failed) {
    fs_job_fail(L, &w->failure, "ml.fs.watch", lua_tostring(L, 1), NULL);
    watcher_close(w);
    return 2;
  }
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

static const WaitType start_wait = {
    .name = "files to be watched", .cancel = start_cancel, .finish = start_finish};

/* watch(path [, {recursive =}]) -> watch, nil, nil, watch | nil, err: what a loop takes: an
   iterator over changes of the file, or of what is in the folder, that is closed when the loop is
   left. Suspends until all that is there is known. */
static int l_watch(lua_State *L) {
  static const char *const names[] = {"recursive"};
  const char *path = fs_job_check_path(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) options_check(L, 2, "ml.fs.watch", names, 1);
  bool recursive = fs_job_flag(L, 2, "ml.fs.watch", "recursive", false);
  Watchers *all = lua_touserdata(L, lua_upvalueindex(1));
  Task *t = ml_wait_enter(L, "ml.fs.watch");
  WatchBox *box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = (WatchBox){0};
  luaL_setmetatable(L, WATCH);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  box->watcher = watcher_new(all, t->rt, path, recursive, ml_wait_waker(t));
  if (!box->watcher) return luaL_error(L, "not enough memory");
  return ml_wait_suspend(L, t, &start_wait, box->watcher);
}

void fs_calls_open_watch(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", l_next}, {"close", l_close}, {NULL, NULL}};
  class_make(L, WATCH, methods, l_gc, l_close);
  luaL_getmetatable(L, WATCH);
  lua_pushcfunction(L, l_next);
  lua_setfield(L, -2, "__call");
  lua_pop(L, 1);
  Watchers *all = lua_newuserdatauv(L, sizeof *all, 0);
  memset(all, 0, sizeof *all);
  watcher_open_all(all, runtime_of(L));
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, all);
  lua_pushcclosure(L, l_watch, 1);
  lua_setfield(L, -2, "watch");
}
