/* The state of a worker: a runtime that is made for the first job, and replaced when it is worn. */
#include "added_module.h"
#include "worker.h"

/* Adds the owner's loaders to package.preload, which is on the top of L. A loader that cannot be
   made here is not there: `require` will say so. */
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

/* Protected: (pool as light userdata). Modules are found where the owner finds them. */
static int l_set_paths(lua_State *L) {
  const Pool *pool = lua_touserdata(L, 1);
  lua_getglobal(L, "package");
  lua_pushstring(L, pool->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, pool->cpath);
  lua_setfield(L, -2, "cpath");
  added_modules_inherit(runtime_of(L), pool->modules);
  if (lua_getfield(L, -1, "preload") == LUA_TTABLE) add_preload(L, &pool->preload);
  return 0;
}

/* The loop was woken: what waits in it is cancelled here, what runs was caught by the signal. */
static void on_wake(uv_async_t *async) { worker_job_check_cancel(async->data); }

static void set_has_async(Worker *w, bool has_async) {
  uv_mutex_lock(&w->pool->lock);
  w->has_async = has_async;
  uv_mutex_unlock(&w->pool->lock);
}

bool worker_state_open(Worker *w) {
  Runtime *rt = runtime_new();
  if (!rt) return false;
  rt->user = w;
  if (uv_async_init(&rt->loop, &w->async, on_wake) != 0) {
    runtime_close(rt);
    return false;
  }
  w->async.data = w;
  uv_unref((uv_handle_t *)&w->async);
  lua_pushcfunction(rt->L, l_set_paths);
  lua_pushlightuserdata(rt->L, w->pool);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
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
  runtime_cancel_all(w->rt, reason, 5.0);
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
