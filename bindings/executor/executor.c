/* moonloop.executor.core: pools of worker threads. Submitting jobs and waiting for them is in
   executor_job.c, their progress in executor_progress.c. */
#include "bindings/executor/executor.h"
#include "bindings/check.h"

#include "bindings/executor/open.h"
#include "bindings/fields.h"
#include "bindings/log/log_bound.h"
#include "bindings/options.h"
#include "core/script_place.h"
#include "core/wait.h"
#include "transfer/transfer.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#define MAX_THREADS 1024
#define MAX_IDLE_TIMEOUT 1e9
#define MIN_MESSAGE (64 << 10) /* bytes: an error with its traceback has room */
#define MIN_MEMORY (1 << 20)   /* bytes: a state with the host's modules takes about half of it */

static const char default_key; /* its address is the registry's key of the default pool */
static const char package_key; /* the same for the table package */

typedef struct PoolHandle {
  Pool *pool;
} PoolHandle;

Pool *executor_check_pool(lua_State *L) {
  return ((PoolHandle *)check_self(L, EXECUTOR_POOL))->pool;
}

/* --- new --- */

typedef struct IntegerOption {
  const char *name;
  lua_Integer missing, min, max;
} IntegerOption;

static lua_Integer integer_option(lua_State *L, int index, IntegerOption option) {
  lua_getfield(L, index, option.name);
  int is_integer = 1;
  lua_Integer value = lua_isnil(L, -1) ? option.missing : lua_tointegerx(L, -1, &is_integer);
  bool given = !lua_isnil(L, -1);
  if (!is_integer || lua_type(L, -1) == LUA_TSTRING ||
      (given && (value < option.min || value > option.max))) {
    lua_pushfstring(L, "%s must be an integer from %I to %I, not %s", option.name,
                    (LUAI_UACINT)option.min, (LUAI_UACINT)option.max, luaL_tolstring(L, -1, NULL));
    check_fail(L, index, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

static double idle_timeout_option(lua_State *L, int index, double missing) {
  int type = lua_getfield(L, index, "idle_timeout");
  double seconds = type == LUA_TNIL ? missing : lua_tonumber(L, -1);
  if ((type != LUA_TNIL && type != LUA_TNUMBER) || !(seconds > 0)) {
    lua_pushfstring(L, "idle_timeout must be a positive number of seconds, not %s",
                    luaL_tolstring(L, -1, NULL));
    check_fail(L, index, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return fmin(seconds, MAX_IDLE_TIMEOUT);
}

static void check_option_names(lua_State *L, int index) {
  static const char *const known[] = {"threads",     "max_threads", "idle_timeout",
                                      "queue",       "max_jobs",    "max_memory",
                                      "max_message", "nice",        "init"};
  options_check(L, index, "ml.executor.new", known, sizeof known / sizeof *known);
}

/* Pushes the table `package`, which is kept apart since each job needs it. */
static void push_package(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &package_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &package_key);
}

static const char *package_field(lua_State *L, const char *name) {
  push_package(L);
  lua_getfield(L, -1, name);
  if (lua_type(L, -1) != LUA_TSTRING) script_place_error(L, "'package.%s' must be a string", name);
  lua_remove(L, -2);
  return lua_tostring(L, -1); /* stays on the stack */
}

void executor_update_paths(lua_State *L, Pool *pool) {
  int top = lua_gettop(L);
  const char *path = package_field(L, "path"), *cpath = package_field(L, "cpath");
  if (!pool_set_paths(pool, path, cpath)) script_place_error(L, "ml.executor: not enough memory");
  lua_settop(L, top);
}

/* Packs the start-up code of the options at `index` into `init`. */
static void pack_init(lua_State *L, int index, TransferMessage *init) {
  int type = lua_getfield(L, index, "init");
  if (type == LUA_TNIL) return;
  if (type != LUA_TFUNCTION) {
    lua_pushfstring(L, "init must be a function, not a %s", lua_typename(L, type));
    check_fail(L, index, lua_tostring(L, -1));
  }
  if (!transfer_pack(L, lua_gettop(L), 1, "init", init)) {
    transfer_free(init);
    check_fail(L, index, lua_tostring(L, -1));
  }
}

/* Pushes a pool: the stack ends with push_handle's values. `options->init` is taken over, even on
   errors. */
static void push_pool(lua_State *L, PoolOptions *options) {
  PoolHandle *handle = lua_touserdata(L, -1);
  if (lua_istable(L, -2) && !transfer_pack(L, -2, 1, "package.preload", &options->preload)) {
    transfer_free(&options->init);
    lua_error(L);
  }
  handle->pool = pool_new(runtime_of(L), options);
  if (!handle->pool) script_place_error(L, "ml.executor: not enough memory or file descriptors");
}

/* Whatever can raise comes before the start-up code is packed, which nobody would free. */
static void push_handle(lua_State *L, PoolOptions *options) {
  options->enter_log = log_bound_enter;
  options->path = package_field(L, "path");
  options->cpath = package_field(L, "cpath");
  if (!executor_push_preload(L)) lua_pushnil(L);
  PoolHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  handle->pool = NULL;
  luaL_setmetatable(L, EXECUTOR_POOL);
}

/* new([{threads = cores, max_threads = threads, idle_timeout = 10, queue = 1024, nice = 10, init =
   nil, max_jobs = nil, max_memory = nil, max_message = 1 GB}]) -> pool. Threads are started when
   they are needed, with a nice value `nice` above the process's: `threads` of them, and up to
   max_threads while jobs wait because others block; those beyond `threads` end after idle_timeout
   seconds without a job. init() runs in each worker's state before its first job; a state is
   replaced by a new one after max_jobs jobs, or when a job would need more than max_memory bytes in
   it. A message of more than max_message bytes (a call, its results, a value of its progress) is an
   error. */
static int l_executor_new(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  check_option_names(L, 1);
  PoolOptions options;
  pool_options_default(&options, false);
  IntegerOption threads = {"threads", options.threads, 1, MAX_THREADS};
  options.threads = (int)integer_option(L, 1, threads);
  IntegerOption max_threads = {"max_threads", options.threads, options.threads, MAX_THREADS};
  options.max_threads = (int)integer_option(L, 1, max_threads);
  options.idle_timeout = idle_timeout_option(L, 1, options.idle_timeout);
  IntegerOption queue = {"queue", (lua_Integer)options.queue, 1, INT32_MAX};
  options.queue = (size_t)integer_option(L, 1, queue);
  IntegerOption max_jobs = {"max_jobs", 0, 1, INT64_MAX};
  options.max_jobs = (uint64_t)integer_option(L, 1, max_jobs);
  IntegerOption max_memory = {"max_memory", 0, MIN_MEMORY, INT64_MAX};
  options.max_memory = (size_t)integer_option(L, 1, max_memory);
  IntegerOption max_message = {"max_message", (lua_Integer)options.max_message, MIN_MESSAGE,
                               TRANSFER_MAX_BYTES};
  options.max_message = (size_t)integer_option(L, 1, max_message);
  IntegerOption niceness = {"nice", options.nice, 0, 19};
  options.nice = (int)integer_option(L, 1, niceness);
  push_handle(L, &options);
  pack_init(L, 1, &options.init);
  lua_settop(L, 5); /* options, path, cpath, preload, handle */
  push_pool(L, &options);
  return 1;
}

/* Is this the state of a worker? */
static bool is_worker(lua_State *L) { return runtime_of(L)->user != NULL; }

/* default() -> the pool of run and start, made on first use: one thread per core, and more while
   jobs block. A job has no default pool: its jobs could each want another one, without end. */
static int l_executor_default(lua_State *L) {
  if (is_worker(L))
    return script_place_error(
        L, "a job has no default pool: ml.executor.run runs a function in the job's "
           "own worker, ml.executor.new makes a pool");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_key) == LUA_TUSERDATA) return 1;
  int top = lua_gettop(L); /* nil, the place of the pool */
  PoolOptions options;
  pool_options_default(&options, true);
  push_handle(L, &options);
  push_pool(L, &options);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &default_key);
  lua_replace(L, top);
  lua_settop(L, top); /* the paths do not belong to the caller's call */
  return 1;
}

/* run(f, ...): pool:run on the default pool. */
static int l_executor_run(lua_State *L) {
  executor_check_call(L, 1);
  l_executor_default(L);
  lua_insert(L, 1);
  return executor_pool_run(L);
}

/* hide(pool): it is the host's own, and in nobody's figures. */
static int l_pool_hide(lua_State *L) {
  pool_source_remove(&executor_check_pool(L)->source);
  return 0;
}

/* threads(pool) -> how many jobs can run at once now, as in pool:stats() */
static int l_executor_threads(lua_State *L) {
  lua_pushinteger(L, pool_stats(executor_check_pool(L)).threads);
  return 1;
}

/* in_worker() -> boolean */
static int l_executor_in_worker(lua_State *L) {
  lua_pushboolean(L, is_worker(L));
  return 1;
}

/* --- the rest --- */

/* pool:stats() -> {threads, max_threads, queued, running, done, failed, cancelled, wait_seconds,
   recycled, workers}. `threads` is how many jobs can run at once now, max_threads the most that
   could; wait_seconds is how long all jobs together have waited for a thread; `recycled` is how
   many states were replaced; `workers` has a {cpu = seconds, jobs, memory = bytes} for each thread
   that was started. A new thread continues the figures of one that has ended. */
static int l_pool_stats(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  PoolStats stats = pool_stats(pool);
  lua_createtable(L, 0, 10);
  fields_set_integer(L, "threads", stats.threads);
  fields_set_integer(L, "max_threads", pool->max_threads);
  fields_set_integer(L, "queued", stats.queued);
  fields_set_integer(L, "running", stats.running);
  fields_set_integer(L, "done", stats.done);
  fields_set_integer(L, "failed", stats.failed);
  fields_set_integer(L, "cancelled", stats.cancelled);
  fields_set_integer(L, "recycled", stats.recycled);
  fields_set_number(L, "wait_seconds", stats.wait_seconds);
  lua_createtable(L, stats.workers, 0);
  for (int i = 0; i < stats.workers; i++) {
    WorkerStats worker = pool_worker_stats(pool, i);
    lua_createtable(L, 0, 3);
    fields_set_number(L, "cpu", worker.cpu_seconds);
    fields_set_integer(L, "jobs", worker.jobs);
    fields_set_integer(L, "memory", worker.memory);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "workers");
  return 1;
}

/* pool:expected_wait() -> seconds that a job submitted now would wait for a worker: an estimate
   from the number of waiting jobs and the time that recent ones took; 0 while a worker is free. */
static int l_pool_expected_wait(lua_State *L) {
  lua_pushnumber(L, pool_expected_wait(executor_check_pool(L)));
  return 1;
}

static int close_wait_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static void close_wait_cancel(Task *t, void *op) {
  (void)t;
  pool_stop_waiting(op);
}

static const WaitType close_wait = {
    .name = "the executor's last jobs", .cancel = close_wait_cancel, .finish = close_wait_finish};

/* Suspends until the pool, which takes no more jobs, has closed. */
static int wait_for_close(lua_State *L, Task *t, Pool *pool, const WaitType *type) {
  PoolWait *wait = lua_newuserdatauv(L, sizeof *wait, 0); /* kept by this stack */
  *wait = (PoolWait){.waker = ml_wait_waker(t), .pool = pool};
  pool_wait_for_close(pool, wait);
  return ml_wait_suspend(L, t, type, wait);
}

/* pool:close(): takes no more jobs from now on, and waits for those it has. */
static int l_pool_close(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  if (pool->closed) return 0;
  pool_close(pool);
  return wait_for_close(L, ml_wait_enter(L, "pool:close"), pool, &close_wait);
}

static void leave_wait_cancel(Task *t, void *op) {
  PoolWait *wait = op;
  pool_stop_waiting(wait);
  ml_wait_wake(ml_wait_waker(t));
}

/* An error is on its way: a cancel only ends the wait. */
static const WaitType leave_wait = {.name = "the executor's last jobs",
                                    .cancel = leave_wait_cancel,
                                    .finish = close_wait_finish,
                                    .cancel_is_deferred = true};

/* The end of a block with the pool as its to-be-closed variable: the same as pool:close(), unless
   an error has left the block. Then the error continues, even if a wait is cancelled. */
static int l_pool_leave(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  if (lua_isnoneornil(L, 2)) return l_pool_close(L);
  pool_close(pool);
  const Task *current = task_current(L);
  if (pool->closed || !wait_is_possible(L) || current->cancel_pending) return 0;
  return wait_for_close(L, ml_wait_enter(L, "pool:close"), pool, &leave_wait);
}

static int l_pool_gc(lua_State *L) {
  PoolHandle *handle = check_self(L, EXECUTOR_POOL);
  if (handle->pool) pool_release(handle->pool);
  handle->pool = NULL;
  return 0;
}

int luaopen_moonloop_executor_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", l_executor_new},
                                       {"default", l_executor_default},
                                       {"run", l_executor_run},
                                       {"progress", executor_progress_new},
                                       {"prepare", executor_prepare},
                                       {"run_prepared", executor_run_prepared},
                                       {"follow", executor_follow},
                                       {"current", executor_current},
                                       {"threads", l_executor_threads},
                                       {"in_worker", l_executor_in_worker},
                                       {"copy", executor_copy},
                                       {"hide", l_pool_hide},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"run", executor_pool_run},
                                     {"stats", l_pool_stats},
                                     {"expected_wait", l_pool_expected_wait},
                                     {"close", l_pool_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", l_pool_gc}, {"__close", l_pool_leave}, {NULL, NULL}};
  luaL_newlib(L, functions);
  luaL_newmetatable(L, EXECUTOR_POOL);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  return 1;
}
