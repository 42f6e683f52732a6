/* Jobs of a pool: packing the call, waiting for room in the queue, and for the outcome. */
#include "bindings/executor/executor.h"

#include "base/container_of.h"
#include "bindings/args.h"
#include "core/observe.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/traceback.h"
#include "core/wait.h"
#include "transfer/transfer.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#define PREPARED "moonloop.executor.prepared"

/* A job that has already ended is not cancelled: its outcome comes first. */
static void job_wait_cancel(Task *t, void *op) {
  Job *job = op;
  Observation *observed = job->observed;
  if (!pool_cancel(job->pool, job)) return;
  if (observed) observed->executor.error = "cancelled";
  observe_ended(&observed);
  t->op = NULL;
  ml_wait_wake(ml_wait_waker(t));
}

/* What observers are told. */
static void observe_job(Job *job, Task *t) {
  job->observed = observe_new(job->pool->rt, OBSERVED_EXECUTOR, t);
  if (!job->observed) return;
  job->observed->executor = (ObservedExecutor){0};
  observe_began(job->observed);
}

static void observe_outcome(Job *job) {
  ObservedExecutor *o = &job->observed->executor;
  if (job->started_at > job->queued_at) o->waited_ns = job->started_at - job->queued_at;
  if (job->outcome != JOB_RETURNED) o->error = "error";
  observe_ended(&job->observed);
}

/* Pushes the results and returns their number, or raises the error. */
static int job_wait_finish(lua_State *L, Task *t, void *op) {
  Job *job = op;
  if (!job) return wait_raise_cancel(L, t);
  JobOutcome outcome = job->outcome;
  int n = 0;
  if (job->observed) observe_outcome(job);
  if (outcome != JOB_LOST) n = transfer_unpack(L, &job->message);
  pool_job_free(job);
  if (outcome == JOB_LOST)
    return script_place_error(L, "the executor had no memory to run the job");
  if (n < 0) return lua_error(L);
  if (outcome == JOB_RETURNED) return n;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_pushfstring(L, "in a worker:\n%s", lua_tostring(L, -1));
  lua_replace(L, -2);
  return traceback_raise(L);
}

static void job_wait_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  const Job *job = op;
  if (!job) { /* it was cancelled just now */
    snprintf(text, size, "a job on the executor");
    return;
  }
  uv_mutex_lock(&job->pool->lock);
  bool queued = job->state == JOB_QUEUED;
  uv_mutex_unlock(&job->pool->lock);
  snprintf(text, size, "a job on the executor, %s, submitted %.3f s ago",
           queued ? "in its queue" : "running", (double)(uv_hrtime() - job->queued_at) / 1e9);
}

static const WaitType job_wait = {.name = "a job on the executor",
                                  .cancel = job_wait_cancel,
                                  .finish = job_wait_finish,
                                  .cancel_is_deferred = true,
                                  .describe = job_wait_describe};

/* --- the call --- */

void executor_check_call(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  if (!args_is_item(L, index)) check_type_fail(L, index, "function");
  check_true(L, lua_gettop(L) == index, index + 1, "the arguments belong in the list");
}

/* Raises the string on the top of the stack, with the line of the script before it. */
static int raise_text(lua_State *L) {
  script_place_push(L);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int executor_copy(lua_State *L) {
  const char *what = check_string(L, 1);
  TransferMessage message = {0};
  bool packed = transfer_pack(L, 2, lua_gettop(L) - 1, what, &message);
  int n = packed ? transfer_unpack(L, &message) : -1;
  transfer_free(&message);
  return n < 0 ? raise_text(L) : n;
}

/* Limits of a job in seconds, or 0. */
typedef struct JobLimits {
  double cpu, slice;
} JobLimits;

/* Turns the checked call from `first` on into a function and its arguments. */
static JobLimits unpack_call(lua_State *L, int first) {
  JobLimits limits = {0};
  if (!lua_isfunction(L, first)) {
    args_unpack_item(L, "pool:run", &limits.cpu, &limits.slice);
    if (!lua_isfunction(L, first)) check_type_fail(L, first, "function");
  }
  return limits;
}

/* A job with the function and arguments from `first` on. Raises what cannot be copied. */
static Job *pack_job(lua_State *L, Pool *pool, int first, JobLimits limits) {
  executor_update_paths(L, pool);
  Job *job = pool_job_new(pool);
  if (!job) script_place_error(L, "ml.executor: not enough memory");
  job->cpu = limits.cpu;
  job->slice = limits.slice;
  if (transfer_pack(L, first, lua_gettop(L) - first + 1, "argument #", &job->message)) return job;
  pool_job_free(job);
  raise_text(L);
  return NULL;
}

/* What entries of the job get from the running task, or NULL. */
static LogKeptFields *log_context(Runtime *rt) {
  LogKeptFields *kept = report_keep_context(rt);
  if (!kept || kept->n) return kept;
  free(kept);
  return NULL;
}

/* Hands the job over and waits for its outcome. */
static int submit(lua_State *L, Task *t, Job *job) {
  job->waker = ml_wait_waker(t);
  observe_job(job, t);
  job->trace = trace_carrier_new(job->pool->rt, job->observed, t);
  job->log_context = log_context(job->pool->rt);
  int rc = pool_submit(job->pool, job);
  if (rc == 0) return ml_wait_suspend(L, t, &job_wait, job);
  if (job->observed) job->observed->executor.error = "error";
  observe_ended(&job->observed);
  pool_job_free(job);
  return script_place_error(L, "ml.executor: cannot start a thread: %s", uv_strerror(rc));
}

/* --- room in the queue --- */

/* Lies on the stack of the waiting task. */
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

static int raise_closed(lua_State *L) {
  return ml_error_raise(L, "closed", NULL, "the executor is closed");
}

/* Submits the job that `take_job` makes of the stack, when there is room for it. */
static int run_on(lua_State *L, Task *t, Pool *pool, JobLimits limits,
                  Job *(*take_job)(lua_State *L, Pool *pool, JobLimits limits)) {
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
   queue is full, the task waits before that. */
int executor_pool_run(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  executor_check_call(L, 2);
  JobLimits limits = unpack_call(L, 2);
  Task *t = ml_wait_enter(L, "ml.executor.run");
  if (pool->closing) return raise_closed(L);
  return run_on(L, t, pool, limits, pack_from_stack);
}

/* --- jobs that are packed before they are submitted --- */

typedef struct Prepared {
  TaskObserver observer; /* of the task that will submit it */
  Job *job;              /* NULL if it was submitted, or never will be */
} Prepared;

static void drop_prepared(Prepared *prepared) {
  if (prepared->job) pool_job_free(prepared->job);
  prepared->job = NULL;
}

static int l_prepared_gc(lua_State *L) {
  Prepared *prepared = check_self(L, PREPARED);
  task_unobserve(&prepared->observer);
  drop_prepared(prepared);
  return 0;
}

/* Cancelled before it submitted the job: readers of its progress learn that it is over. */
static void submitter_ended(TaskObserver *observer, Task *t) {
  (void)t;
  drop_prepared(container_of(observer, Prepared, observer));
}

int executor_follow(lua_State *L) {
  Prepared *prepared = check_self(L, PREPARED);
  TaskHandle *handle = args_check_task(L, 2);
  prepared->observer.ended = submitter_ended;
  if (handle->task) task_observe(handle->task, &prepared->observer);
  return 0;
}

int executor_prepare(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  Progress *progress = executor_check_progress(L, 2);
  executor_check_call(L, 3);
  if (pool->closing) return raise_closed(L);
  Prepared *prepared = lua_newuserdatauv(L, sizeof *prepared, 1);
  *prepared = (Prepared){0};
  lua_pushvalue(L, 1); /* the job needs its pool until the end */
  lua_setiuservalue(L, -2, 1);
  if (luaL_newmetatable(L, PREPARED)) {
    lua_pushcfunction(L, l_prepared_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_insert(L, 3);
  JobLimits limits = unpack_call(L, 4);
  prepared->job = pack_job(L, pool, 4, limits);
  prepared->job->progress = progress_hold(progress);
  pool_expect(pool, prepared->job);
  lua_settop(L, 3);
  return 1;
}

static Job *take_prepared(lua_State *L, Pool *pool, JobLimits limits) {
  (void)pool;
  (void)limits;
  Prepared *prepared = luaL_checkudata(L, 2, PREPARED);
  Job *job = prepared->job;
  if (!job) script_place_error(L, "ml.executor: the job was submitted before");
  prepared->job = NULL;
  return job;
}

int executor_run_prepared(lua_State *L) {
  Pool *pool = executor_check_pool(L);
  luaL_checkudata(L, 2, PREPARED);
  Task *t = ml_wait_enter(L, "ml.executor.run");
  return run_on(L, t, pool, (JobLimits){0}, take_prepared);
}
