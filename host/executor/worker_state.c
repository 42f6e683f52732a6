/* The state of a worker: a runtime that is made for the first job, and replaced when it is used
   up. */
#include "core/added_module.h"
#include "core/report.h"
#include "executor/worker.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Adds the owner's loaders to package.preload, which is on the top of L. A loader that cannot be
   made here is left out, and `require` will say so. */
static void add_preload(lua_State *L, const TransferMessage *preload) {
  int top = lua_gettop(L);
  if (!preload->bytes.len || transfer_unpack(L, preload) < 0) {
    lua_settop(L, top);
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, top + 1)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_settable(L, top);
  }
  lua_settop(L, top);
}

/* Protected: (path, cpath, as light userdata). */
static int l_set_paths(lua_State *L) {
  lua_getglobal(L, "package");
  lua_pushstring(L, lua_touserdata(L, 1));
  lua_setfield(L, -2, "path");
  lua_pushstring(L, lua_touserdata(L, 2));
  lua_setfield(L, -2, "cpath");
  return 0;
}

/* Modules are found where the owner finds them. If memory is out, the next job tries again. */
static void set_paths(Worker *w, lua_State *L) {
  char *path, *cpath;
  unsigned set;
  if (!pool_copy_paths(w->pool, &path, &cpath, &set)) return;
  lua_pushcfunction(L, l_set_paths);
  lua_pushlightuserdata(L, path);
  lua_pushlightuserdata(L, cpath);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    w->path_set = set;
  else
    lua_pop(L, 1);
  free(path);
  free(cpath);
}

void worker_state_update_paths(Worker *w) {
  if (w->path_set != atomic_load(&w->pool->path_set)) set_paths(w, w->rt->L);
}

/* Protected: (pool as light userdata). The owner's modules in C and its loaders. */
static int l_set_modules(lua_State *L) {
  const Pool *pool = lua_touserdata(L, 1);
  added_module_inherit(runtime_of(L), pool->modules);
  lua_getglobal(L, "package");
  if (lua_getfield(L, -1, "preload") == LUA_TTABLE) add_preload(L, &pool->preload);
  return 0;
}

/* Protected. The owner's loader of this name, which scripts never require, runs in each new state,
   in the main Lua thread, so a debug hook that it sets applies to all jobs. */
#define START_MODULE "moonloop.executor.start"

static int l_start_state(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, START_MODULE) == LUA_TFUNCTION) lua_call(L, 0, 0);
  return 0;
}

static void start_state(Runtime *rt) {
  lua_State *L = rt->L;
  lua_pushcfunction(L, l_start_state);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return;
  report_error(L, "a worker's state", -1, NULL, NULL);
  lua_pop(L, 1);
}

/* The loop was woken: waiting tasks are cancelled here; running code was interrupted by the
   signal. */
static void on_wake(uv_async_t *async) { worker_job_check_cancel(async->data); }

static void set_has_async(Worker *w, bool has_async) {
  uv_mutex_lock(&w->pool->lock);
  w->has_async = has_async;
  uv_mutex_unlock(&w->pool->lock);
}

bool worker_state_open(Worker *w) {
  Runtime *rt = runtime_new(w->pool->open);
  if (!rt) return false;
  rt->user = w;
  if (uv_async_init(&rt->loop, &w->async, on_wake) != 0) {
    runtime_close(rt);
    return false;
  }
  w->async.data = w;
  uv_unref((uv_handle_t *)&w->async);
  set_paths(w, rt->L);
  lua_pushcfunction(rt->L, l_set_modules);
  lua_pushlightuserdata(rt->L, w->pool);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
  start_state(rt);
  w->rt = rt;
  w->initialized = w->pool->init.bytes.len == 0;
  w->broken = false;
  w->state_jobs = 0;
  w->memory = (MemoryLimit){0};
  if (w->pool->max_memory) memory_limit_set(&w->memory, rt, w->pool->max_memory);
  worker_job_add_interrupt(w);
  set_has_async(w, true);
  return true;
}

void worker_state_close(Worker *w, const char *reason) {
  if (!w->rt) return;
  runtime_cancel_all(w->rt, reason, RUNTIME_CLEANUP_SECONDS);
  interrupt_remove(w->rt, &w->interrupt);
  set_has_async(w, false);
  uv_close((uv_handle_t *)&w->async, NULL);
  runtime_close(w->rt);
  w->rt = NULL;
}

bool worker_state_is_worn(const Worker *w) {
  uint64_t max = w->pool->max_jobs;
  return w->rt && (w->broken || w->memory.exhausted || (max && w->state_jobs >= max));
}
