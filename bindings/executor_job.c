/* Jobs of a pool: packing the call, waiting for room in the queue, and for the outcome. */
#include "executor_binding.h"

#include "args.h"
#include "container_of.h"
#include "report.h"
#include "transfer.h"

#include <lauxlib.h>
#include <stdio.h>

#define PREPARED "moonloop.executor.prepared"

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
  if (outcome != JOB_LOST) n = transfer_unpack(L, &job->message);
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

/* --- the call --- */

void executor_check_call(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  luaL_argexpected(L, args_is_item(L, index), index, "function");
  luaL_argcheck(L, lua_gettop(L) == index, index + 1, "the arguments belong into the list");
}

/* Raises the string on the top of the stack, behind the place of the Lua code at `level`. */
static int raise_at(lua_State *L, int level) {
  luaL_where(L, level);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int executor_copy(lua_State *L) {
  const char *what = luaL_checkstring(L, 1);
  TransferMessage message = {0};
  bool packed = transfer_pack(L, 2, lua_gettop(L) - 1, what, &message);
  int n = packed ? transfer_unpack(L, &message) : -1;
  transfer_free(&message);
  return n < 0 ? raise_at(L, 2) : n;
}

/* Limits of a job in seconds, or 0. */
typedef struct JobLimits {
  double cpu, slice;
} JobLimits;

/* The call from `first` on, checked before, becomes a function and its arguments. */
static JobLimits unpack_call(lua_State *L, int first) {
  JobLimits limits = {0};
  if (!lua_isfunction(L, first)) {
    args_unpack_item(L, "pool:run", &limits.cpu, &limits.slice);
    luaL_argexpected(L, lua_isfunction(L, first), first, "function");
  }
  return limits;
}

/* A job with the function and arguments from `first` on. Raises what cannot be copied. */
static Job *pack_job(lua_State *L, Pool *pool, int first, JobLimits limits) {
  Job *job = job_new(pool);
  if (!job) luaL_error(L, "ml.executor: not enough memory");
  job->cpu = limits.cpu;
  job->slice = limits.slice;
  if (transfer_pack(L, first, lua_gettop(L) - first + 1, "argument #", &job->message)) return job;
  job_free(job);
  raise_at(L, 1);
  return NULL;
}

/* Hands the job over and waits for its outcome. */
static int submit(lua_State *L, Task *t, Job *job) {
  job->waker = ml_wait_waker(t);
  int rc = pool_submit(job->pool, job);
  if (rc == 0) return ml_wait_suspend(L, t, &job_wait, job);
  job_free(job);
  return luaL_error(L, "ml.executor: cannot start a thread: %s", uv_strerror(rc));
}

/* --- room in the queue --- */

/* It lies on the stack of the task that waits. */
typedef struct RoomWait {
  PoolWait wait;
  JobLimits limits;
  Job *(*take_job)(lua_State *L, Pool *pool, JobLimits limits);
} RoomWait;

static void room_wait_cancel(Task *t, void *op) {
  (void)t;
  pool_stop_waiting(op);
}

static int room_wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  RoomWait wait = *(RoomWait *)op;
  lua_pop(L, 1); /* the RoomWait */
  pool_take_reserved(wait.wait.pool);
  t = ml_wait_enter(L, "ml.executor.run");
  return submit(L, t, wait.take_job(L, wait.wait.pool, wait.limits));
}

static const WaitType room_wait = {
    .name = "room in the executor's queue", .cancel = room_wait_cancel, .finish = room_wait_finish};

/* Submits the job that `take_job` makes of the stack, when there is room for it. */
static int run_on(lua_State *L, Pool *pool, JobLimits limits,
                  Job *(*take_job)(lua_State *L, Pool *pool, JobLimits limits)) {
  Task *t = ml_wait_enter(L, "ml.executor.run");
  if (pool->closing) return ml_error_raise(L, "closed", NULL, "the executor is closed");
  if (!pool_is_full(pool)) return submit(L, t, take_job(L, pool, limits));
  RoomWait *wait = lua_newuserdatauv(L, sizeof *wait, 0);
  *wait = (RoomWait){{.waker = ml_wait_waker(t), .pool = pool}, limits, take_job};
  pool_wait_for_room(pool, &wait->wait);
  return ml_wait_suspend(L, t, &room_wait, &wait->wait);
}

/* --- run --- */

static Job *pack_from_stack(lua_State *L, Pool *pool, JobLimits limits) {
  return pack_job(L, pool, 2, limits);
}

/* pool:run(f, ...) -> f's results. The copies are made when the job enters the queue; while the
   queue is full, the task waits first. */
int executor_pool_run(lua_State *L) {
  Pool *pool = executor_check_pool(L, 1);
  executor_check_call(L, 2);
  return run_on(L, pool, unpack_call(L, 2), pack_from_stack);
}

/* --- jobs that are packed before they are submitted --- */

typedef struct Prepared {
  TaskObserver observer; /* of the task that is to submit it */
  Job *job;              /* NULL when it was submitted, or never will be */
} Prepared;

static void drop_prepared(Prepared *prepared) {
  if (prepared->job) job_free(prepared->job);
  prepared->job = NULL;
}

static int prepared_gc(lua_State *L) {
  Prepared *prepared = luaL_checkudata(L, 1, PREPARED);
  task_unobserve(&prepared->observer);
  drop_prepared(prepared);
  return 0;
}

/* Cancelled before it came to submit the job: who reads its progress learns that it is over. */
static void submitter_ended(TaskObserver *observer, Task *t) {
  (void)t;
  drop_prepared(container_of(observer, Prepared, observer));
}

int executor_follow(lua_State *L) {
  Prepared *prepared = luaL_checkudata(L, 1, PREPARED);
  TaskHandle *handle = task_check_handle(L, 2);
  prepared->observer.ended = submitter_ended;
  if (handle->task) task_observe(handle->task, &prepared->observer);
  return 0;
}

int executor_prepare(lua_State *L) {
  Pool *pool = executor_check_pool(L, 1);
  Progress *progress = executor_check_progress(L, 2);
  executor_check_call(L, 3);
  if (pool->closing) return ml_error_raise(L, "closed", NULL, "the executor is closed");
  Prepared *prepared = lua_newuserdatauv(L, sizeof *prepared, 0);
  *prepared = (Prepared){0};
  if (luaL_newmetatable(L, PREPARED)) {
    lua_pushcfunction(L, prepared_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_insert(L, 3);
  JobLimits limits = unpack_call(L, 4);
  prepared->job = pack_job(L, pool, 4, limits);
  prepared->job->progress = progress_hold(progress);
  lua_settop(L, 3);
  return 1;
}

static Job *take_prepared(lua_State *L, Pool *pool, JobLimits limits) {
  (void)pool;
  (void)limits;
  Prepared *prepared = luaL_checkudata(L, 2, PREPARED);
  Job *job = prepared->job;
  if (!job) luaL_error(L, "ml.executor: the job was submitted before");
  prepared->job = NULL;
  return job;
}

int executor_run_prepared(lua_State *L) {
  Pool *pool = executor_check_pool(L, 1);
  luaL_checkudata(L, 2, PREPARED);
  return run_on(L, pool, (JobLimits){0}, take_prepared);
}
