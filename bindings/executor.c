/* moonloop.executor.core: pools of worker threads. What is submitted and waited for is
   executor_job.c, the progress of jobs executor_progress.c. */
#include "executor_binding.h"

#include "modules.h"
#include "transfer.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#define MAX_THREADS 1024
#define DEFAULT_MAX_THREADS 40 /* of the default pool, where jobs block */
#define DEFAULT_IDLE_TIMEOUT 10.0
#define MAX_IDLE_TIMEOUT 1e9
#define DEFAULT_QUEUE 1024
#define DEFAULT_NICE 10 /* a ninth of the weight of the loop, where they compete for a core */
#define MIN_MESSAGE (64 << 10) /* bytes: an error with its traceback has room */
#define MIN_MEMORY (1 << 20)   /* bytes: a state with the host's modules takes about half of it */

static const char default_key; /* its address is the registry's key of the default pool */

typedef struct PoolHandle {
  Pool *pool;
} PoolHandle;

Pool *executor_check_pool(lua_State *L, int index) {
  return ((PoolHandle *)luaL_checkudata(L, index, EXECUTOR_POOL))->pool;
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
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

static double idle_timeout_option(lua_State *L, int index) {
  int type = lua_getfield(L, index, "idle_timeout");
  double seconds = type == LUA_TNIL ? DEFAULT_IDLE_TIMEOUT : lua_tonumber(L, -1);
  if ((type != LUA_TNIL && type != LUA_TNUMBER) || !(seconds > 0)) {
    lua_pushfstring(L, "idle_timeout must be a positive number of seconds, not %s",
                    luaL_tolstring(L, -1, NULL));
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return fmin(seconds, MAX_IDLE_TIMEOUT);
}

static void check_option_names(lua_State *L, int index) {
  static const char *const known[] = {"threads",  "max_threads", "idle_timeout", "queue",
                                      "max_jobs", "max_memory",  "max_message",  "nice",
                                      "init",     NULL};
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int i = 0;
    while (known[i] && strcmp(known[i], name) != 0) i++;
    if (known[i]) continue;
    lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL));
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
}

static const char *package_field(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, name);
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "'package.%s' must be a string", name);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return lua_tostring(L, -1); /* stays on the stack */
}

/* Packs the start-up code of the options at `index` into `init`. */
static void pack_init(lua_State *L, int index, TransferMessage *init) {
  int type = lua_getfield(L, index, "init");
  if (type == LUA_TNIL) return;
  if (type != LUA_TFUNCTION) {
    lua_pushfstring(L, "init must be a function, not a %s", lua_typename(L, type));
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
  if (!transfer_pack(L, lua_gettop(L), 1, "init", init)) {
    transfer_free(init);
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
}

/* Pushes a pool: the stack ends with push_handle's values. `options->init` is taken over in any
   case. */
static void push_pool(lua_State *L, PoolOptions *options) {
  PoolHandle *handle = lua_touserdata(L, -1);
  if (lua_istable(L, -2) && !transfer_pack(L, -2, 1, "package.preload", &options->preload)) {
    transfer_free(&options->init);
    lua_error(L);
  }
  handle->pool = pool_new(runtime_of(L), options);
  if (!handle->pool) luaL_error(L, "ml.executor: not enough memory or file descriptors");
}

/* What can raise comes before the start-up code is packed: nobody would free it. */
static void push_handle(lua_State *L, PoolOptions *options) {
  options->path = package_field(L, "path");
  options->cpath = package_field(L, "cpath");
  if (!executor_push_preload(L)) lua_pushnil(L);
  PoolHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  handle->pool = NULL;
  luaL_setmetatable(L, EXECUTOR_POOL);
}

/* new([{threads = cores, max_threads = threads, idle_timeout = 10, queue = 1024, nice = 10,
   init = nil, max_jobs = nil, max_memory = nil, max_message = 1 GB}]) -> pool. Threads are started
   when they are needed, with a nice value that is higher than the process's by `nice`: `threads` of
   them, and while jobs wait because others block, up to max_threads; those beyond `threads` end
   when they have had no job for idle_timeout seconds. init() runs in each worker's state before its
   first job; a state is replaced by a new one after max_jobs jobs, or when a job would need more
   than max_memory bytes in it. What would make a message of more than max_message bytes (a call,
   its results, a value of its progress) is an error. */
static int executor_new(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  check_option_names(L, 1);
  IntegerOption threads = {"threads", uv_available_parallelism(), 1, MAX_THREADS};
  int count = (int)integer_option(L, 1, threads);
  IntegerOption max_threads = {"max_threads", count, count, MAX_THREADS};
  IntegerOption queue = {"queue", DEFAULT_QUEUE, 1, INT32_MAX};
  IntegerOption max_jobs = {"max_jobs", 0, 1, INT64_MAX};
  IntegerOption max_memory = {"max_memory", 0, MIN_MEMORY, INT64_MAX};
  IntegerOption max_message = {"max_message", TRANSFER_MAX_BYTES, MIN_MESSAGE, TRANSFER_MAX_BYTES};
  IntegerOption niceness = {"nice", DEFAULT_NICE, 0, 19};
  PoolOptions options = {.threads = count,
                         .max_threads = (int)integer_option(L, 1, max_threads),
                         .idle_timeout = idle_timeout_option(L, 1),
                         .queue = (size_t)integer_option(L, 1, queue),
                         .max_jobs = (uint64_t)integer_option(L, 1, max_jobs),
                         .max_memory = (size_t)integer_option(L, 1, max_memory),
                         .max_message = (size_t)integer_option(L, 1, max_message),
                         .nice = (int)integer_option(L, 1, niceness)};
  push_handle(L, &options);
  pack_init(L, 1, &options.init);
  lua_settop(L, 5); /* options, path, cpath, preload, handle */
  push_pool(L, &options);
  return 1;
}

/* Is this the state of a worker? */
static bool is_worker(lua_State *L) { return runtime_of(L)->user != NULL; }

/* default() -> the pool of run and start, made when it is first asked for: a thread a core, and
   more while jobs block. A job has none: each of its jobs could want another, without end. */
static int executor_default(lua_State *L) {
  if (is_worker(L))
    return luaL_error(L, "a job has no default pool: ml.executor.run runs a function in the job's "
                         "own worker, ml.executor.new makes a pool");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_key) == LUA_TUSERDATA) return 1;
  int top = lua_gettop(L); /* nil, where the pool is to be */
  int threads = (int)uv_available_parallelism();
  PoolOptions options = {.threads = threads,
                         .max_threads =
                             threads > DEFAULT_MAX_THREADS ? threads : DEFAULT_MAX_THREADS,
                         .idle_timeout = DEFAULT_IDLE_TIMEOUT,
                         .queue = DEFAULT_QUEUE,
                         .nice = DEFAULT_NICE};
  push_handle(L, &options);
  push_pool(L, &options);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &default_key);
  lua_replace(L, top);
  lua_settop(L, top); /* the paths are not for the caller's call */
  return 1;
}

/* run(f, ...): pool:run on the default pool. */
static int executor_run(lua_State *L) {
  executor_check_call(L, 1);
  executor_default(L);
  lua_insert(L, 1);
  return executor_pool_run(L);
}

/* threads(pool) -> how many jobs can run at once now, as in pool:stats() */
static int executor_threads(lua_State *L) {
  lua_pushinteger(L, pool_stats(executor_check_pool(L, 1)).threads);
  return 1;
}

/* in_worker() -> boolean */
static int executor_in_worker(lua_State *L) {
  lua_pushboolean(L, is_worker(L));
  return 1;
}

/* --- the rest --- */

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

/* pool:stats() -> {threads, max_threads, queued, running, done, failed, cancelled, wait_seconds,
   recycled, workers}. `threads` is how many jobs can run at once now, max_threads how many that may
   become; wait_seconds is what all jobs together have waited for a thread; `recycled` is how many
   states were replaced; `workers` has a {cpu = seconds, jobs, memory = bytes} for each thread that
   has been started. A new thread goes on with the figures of one that has ended. */
static int pool_get_stats(lua_State *L) {
  Pool *pool = executor_check_pool(L, 1);
  PoolStats stats = pool_stats(pool);
  lua_createtable(L, 0, 10);
  set_integer(L, "threads", (uint64_t)stats.threads);
  set_integer(L, "max_threads", (uint64_t)pool->max_threads);
  set_integer(L, "queued", stats.queued);
  set_integer(L, "running", stats.running);
  set_integer(L, "done", stats.done);
  set_integer(L, "failed", stats.failed);
  set_integer(L, "cancelled", stats.cancelled);
  set_integer(L, "recycled", stats.recycled);
  set_number(L, "wait_seconds", stats.wait_seconds);
  lua_createtable(L, stats.workers, 0);
  for (int i = 0; i < stats.workers; i++) {
    WorkerStats worker = pool_worker_stats(pool, i);
    lua_createtable(L, 0, 3);
    set_number(L, "cpu", worker.cpu_seconds);
    set_integer(L, "jobs", worker.jobs);
    set_integer(L, "memory", worker.memory);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "workers");
  return 1;
}

/* pool:expected_wait() -> seconds that a job submitted now would wait for a worker: an estimate by
   the jobs that wait already and the time that recent ones took; 0 while a worker is free. */
static int pool_get_expected_wait(lua_State *L) {
  lua_pushnumber(L, pool_expected_wait(executor_check_pool(L, 1)));
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

/* pool:close(): takes no more jobs and waits for those it has. Also the pool's __close. */
static int pool_do_close(lua_State *L) {
  Pool *pool = executor_check_pool(L, 1);
  if (pool->closed) return 0;
  Task *t = ml_wait_enter(L, "pool:close");
  PoolWait *wait = lua_newuserdatauv(L, sizeof *wait, 0); /* kept by this stack */
  *wait = (PoolWait){.waker = ml_wait_waker(t), .pool = pool};
  pool_close(pool);
  pool_wait_for_close(pool, wait);
  return ml_wait_suspend(L, t, &close_wait, wait);
}

static int pool_gc(lua_State *L) {
  PoolHandle *handle = luaL_checkudata(L, 1, EXECUTOR_POOL);
  if (handle->pool) pool_release(handle->pool);
  handle->pool = NULL;
  return 0;
}

int luaopen_moonloop_executor_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", executor_new},         {"default", executor_default},
      {"run", executor_run},         {"progress", executor_progress_new},
      {"prepare", executor_prepare}, {"run_prepared", executor_run_prepared},
      {"follow", executor_follow},   {"current", executor_current},
      {"threads", executor_threads}, {"in_worker", executor_in_worker},
      {"copy", executor_copy},       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"run", executor_pool_run},
                                     {"stats", pool_get_stats},
                                     {"expected_wait", pool_get_expected_wait},
                                     {"close", pool_do_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", pool_gc}, {"__close", pool_do_close}, {NULL, NULL}};
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
