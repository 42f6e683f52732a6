/* moonloop.executor.core: pools of worker threads. */
#include "executor.h"
#include "error.h"
#include "modules.h"
#include "report.h"
#include "transfer.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL "moonloop.executor.pool"

#define MAX_THREADS 1024
#define DEFAULT_QUEUE 1024

static const char default_key; /* its address is the registry's key of the default pool */

typedef struct PoolHandle {
  Pool *pool;
} PoolHandle;

static Pool *check_pool(lua_State *L, int index) {
  return ((PoolHandle *)luaL_checkudata(L, index, POOL))->pool;
}

static int raise_closed(lua_State *L) {
  return ml_error_raise(L, "closed", NULL, "the executor is closed");
}

/* --- new --- */

static lua_Integer option(lua_State *L, int index, const char *name, lua_Integer missing,
                          lua_Integer max) {
  if (!lua_istable(L, index)) return missing;
  lua_getfield(L, index, name);
  int is_integer = 1;
  lua_Integer value = lua_isnil(L, -1) ? missing : lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) == LUA_TSTRING || value < 1 || value > max) {
    lua_pushfstring(L, "%s must be an integer from 1 to %I, not %s", name, max,
                    luaL_tolstring(L, -1, NULL));
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

static void push_package_field(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, name);
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "'package.%s' must be a string", name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void push_pool(lua_State *L, lua_Integer threads, lua_Integer queue) {
  PoolHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  handle->pool = NULL;
  luaL_setmetatable(L, POOL);
  push_package_field(L, "path");
  push_package_field(L, "cpath");
  handle->pool = pool_new(runtime_of(L), (int)threads, (size_t)queue, lua_tostring(L, -2),
                          lua_tostring(L, -1));
  if (!handle->pool) luaL_error(L, "ml.executor: not enough memory or file descriptors");
  lua_pop(L, 2);
}

/* new([{threads = cores, queue = 1024}]) -> pool. Threads are started when they are needed. */
static int executor_new(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_Integer threads = option(L, 1, "threads", uv_available_parallelism(), MAX_THREADS);
  lua_Integer queue = option(L, 1, "queue", DEFAULT_QUEUE, INT32_MAX);
  push_pool(L, threads, queue);
  return 1;
}

/* --- run --- */

static void job_wait_cancel(Task *t, void *op) {
  (void)t;
  Job *job = op;
  pool_cancel(job->pool, job);
}

/* Pushes what came back and returns how many values, or raises it. */
static int job_wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Job *job = op;
  JobOutcome outcome = job->outcome;
  int n = 0;
  if (outcome != JOB_LOST) n = transfer_unpack(L, job->message.data, job->message.len);
  job_free(job);
  if (outcome == JOB_LOST) return luaL_error(L, "the executor had no memory to run the job");
  if (n < 0) return lua_error(L);
  if (outcome == JOB_RETURNED) return n;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_pushfstring(L, "in a worker:\n%s", lua_tostring(L, -1));
  lua_replace(L, -2);
  return report_raise_with_origin(L);
}

static void job_wait_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  const Job *job = op;
  uv_mutex_lock(&job->pool->lock);
  bool queued = job->state == JOB_QUEUED;
  uv_mutex_unlock(&job->pool->lock);
  snprintf(text, size, "a job on the executor, %s, submitted %.3f s ago",
           queued ? "in its queue" : "running", (double)(uv_hrtime() - job->queued_at) / 1e9);
}

static const WaitType job_wait = {.name = "a job on the executor",
                                  .cancel = job_wait_cancel,
                                  .finish = job_wait_finish,
                                  .describe = job_wait_describe};

/* Stack: pool, function, arguments. */
static int submit(lua_State *L, Task *t, Pool *pool) {
  Job *job = calloc(1, sizeof *job);
  if (!job) return luaL_error(L, "ml.executor: not enough memory");
  job->pool = pool;
  atomic_init(&job->cancelled, false);
  if (!transfer_pack(L, 2, lua_gettop(L) - 1, "argument #", &job->message)) {
    job_free(job);
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  job->waker = ml_wait_waker(t);
  int rc = pool_submit(pool, job);
  if (rc != 0) {
    job_free(job);
    return luaL_error(L, "ml.executor: cannot start a thread: %s", uv_strerror(rc));
  }
  return ml_wait_suspend(L, t, &job_wait, job);
}

static void pool_wait_cancel(Task *t, void *op) {
  (void)t;
  pool_stop_waiting(op);
}

static int room_wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  lua_pop(L, 1); /* the PoolWait */
  Pool *pool = check_pool(L, 1);
  pool_take_reserved(pool);
  return submit(L, ml_wait_enter(L, "ml.executor.run"), pool);
}

static const WaitType room_wait = {
    .name = "room in the executor's queue", .cancel = pool_wait_cancel, .finish = room_wait_finish};

static PoolWait *push_wait(lua_State *L, Task *t, Pool *pool) {
  PoolWait *wait = lua_newuserdatauv(L, sizeof *wait, 0); /* kept by this stack */
  *wait = (PoolWait){.waker = ml_wait_waker(t), .pool = pool};
  return wait;
}

/* Stack: pool, function, arguments. */
static int run_on(lua_State *L, Pool *pool) {
  Task *t = ml_wait_enter(L, "ml.executor.run");
  if (pool->closing) return raise_closed(L);
  if (!pool_is_full(pool)) return submit(L, t, pool);
  PoolWait *wait = push_wait(L, t, pool);
  pool_wait_for_room(pool, wait);
  return ml_wait_suspend(L, t, &room_wait, wait);
}

/* pool:run(f, ...) -> f's results. The copies are made when the job enters the queue; while the
   queue is full, the task waits first. */
static int pool_run(lua_State *L) {
  Pool *pool = check_pool(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  return run_on(L, pool);
}

/* run(f, ...): the same on the default pool, a thread a core. */
static int executor_run(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_key) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    push_pool(L, uv_available_parallelism(), DEFAULT_QUEUE);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &default_key);
  }
  lua_insert(L, 1);
  return run_on(L, ((PoolHandle *)lua_touserdata(L, 1))->pool);
}

/* --- the rest --- */

/* pool:stats() -> {threads, queued, running, done, failed, cancelled, wait_seconds}. `threads` is
   how many there may be; wait_seconds is what all jobs together have waited for one. */
static int pool_get_stats(lua_State *L) {
  Pool *pool = check_pool(L, 1);
  PoolStats stats = pool_stats(pool);
  lua_createtable(L, 0, 7);
  lua_pushinteger(L, pool->max_threads);
  lua_setfield(L, -2, "threads");
  lua_pushinteger(L, (lua_Integer)stats.queued);
  lua_setfield(L, -2, "queued");
  lua_pushinteger(L, (lua_Integer)stats.running);
  lua_setfield(L, -2, "running");
  lua_pushinteger(L, (lua_Integer)stats.done);
  lua_setfield(L, -2, "done");
  lua_pushinteger(L, (lua_Integer)stats.failed);
  lua_setfield(L, -2, "failed");
  lua_pushinteger(L, (lua_Integer)stats.cancelled);
  lua_setfield(L, -2, "cancelled");
  lua_pushnumber(L, stats.wait_seconds);
  lua_setfield(L, -2, "wait_seconds");
  return 1;
}

static int close_wait_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType close_wait = {
    .name = "the executor's last jobs", .cancel = pool_wait_cancel, .finish = close_wait_finish};

/* pool:close(): takes no more jobs and waits for those it has. Also the pool's __close. */
static int pool_do_close(lua_State *L) {
  Pool *pool = check_pool(L, 1);
  if (pool->closed) return 0;
  Task *t = ml_wait_enter(L, "pool:close");
  PoolWait *wait = push_wait(L, t, pool);
  pool_close(pool);
  pool_wait_for_close(pool, wait);
  return ml_wait_suspend(L, t, &close_wait, wait);
}

static int pool_gc(lua_State *L) {
  PoolHandle *handle = luaL_checkudata(L, 1, POOL);
  if (handle->pool) pool_release(handle->pool);
  handle->pool = NULL;
  return 0;
}

int luaopen_moonloop_executor_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", executor_new}, {"run", executor_run}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"run", pool_run}, {"stats", pool_get_stats}, {"close", pool_do_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", pool_gc}, {"__close", pool_do_close}, {NULL, NULL}};
  luaL_newlib(L, functions);
  luaL_newmetatable(L, POOL);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  return 1;
}
