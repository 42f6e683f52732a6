/* What a job tells its caller while it runs: job:progress(v) there, call:progress() here. */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/executor/executor.h"
#include "core/script_place.h"

#include "core/wait.h"
#include "executor/worker.h"
#include "transfer/transfer.h"

#include <lauxlib.h>

#define PROGRESS "moonloop.executor.progress"
#define JOB "moonloop.executor.job"

/* --- the caller's side --- */

typedef struct ProgressHandle {
  Progress *progress;
} ProgressHandle;

Progress *executor_check_progress(lua_State *L, int index) {
  return ((ProgressHandle *)luaL_checkudata(L, index, PROGRESS))->progress;
}

static int take(lua_State *L, Progress *p);

static int take_again(lua_State *L, Task *t) {
  (void)t;
  return take(L, executor_check_progress(L, 1));
}

static int take(lua_State *L, Progress *p) {
  TransferMessage message;
  ProgressState state = progress_take(p, &message);
  if (state == PROGRESS_WAIT)
    return progress_suspend(L, ml_wait_enter(L, "call:progress"), p, false, take_again);
  if (state == PROGRESS_OVER) {
    lua_pushnil(L);
    return 1;
  }
  int n = transfer_unpack(L, &message);
  uint32_t cost = wait_cost(message.bytes.len);
  transfer_free(&message);
  return n < 0 ? lua_error(L) : wait_spared(L, n, cost);
}

/* progress:take() -> the next values | nil when the job has ended and all values were taken */
static int l_progress_take_values(lua_State *L) {
  Progress *p = executor_check_progress(L, 1);
  lua_settop(L, 1);
  return take(L, p);
}

/* progress:poll() -> the next values | nil when there are none now. Never waits: for code that
   holds up the loop, beside a task that takes. */
static int l_progress_poll(lua_State *L) {
  Progress *p = executor_check_progress(L, 1);
  TransferMessage message;
  if (progress_take(p, &message) != PROGRESS_DONE) {
    lua_pushnil(L);
    return 1;
  }
  int n = transfer_unpack(L, &message);
  transfer_free(&message);
  return n < 0 ? lua_error(L) : n;
}

/* progress:discard(): nobody takes values from now on. Also its __close and __gc. */
static int l_progress_discard(lua_State *L) {
  progress_discard(executor_check_progress(L, 1));
  return 0;
}

static int l_progress_gc(lua_State *L) {
  ProgressHandle *handle = check_self(L, PROGRESS);
  if (!handle->progress) return 0;
  progress_discard(handle->progress);
  progress_release(handle->progress);
  handle->progress = NULL;
  return 0;
}

int executor_progress_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"take", l_progress_take_values},
                                     {"poll", l_progress_poll},
                                     {"discard", l_progress_discard},
                                     {NULL, NULL}};
  ProgressHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  handle->progress = NULL;
  class_set(L, PROGRESS, methods, l_progress_gc, l_progress_discard);
  handle->progress = progress_new();
  if (!handle->progress) return script_place_error(L, "ml.executor: not enough memory");
  return 1;
}

/* --- the job's side --- */

/* A job as its own code sees it; harmless after the job has ended. */
typedef struct JobHandle {
  Worker *worker;
  uint64_t number; /* which of the jobs of the worker's state it is */
  Progress *progress;
} JobHandle;

static JobHandle *check_job(lua_State *L) { return check_self(L, JOB); }

static int put(lua_State *L, JobHandle *handle);

static int put_again(lua_State *L, Task *t) {
  (void)t;
  return put(L, check_job(L));
}

/* Stack: job, values. */
static int put(lua_State *L, JobHandle *handle) {
  TransferMessage message = {.max_bytes = handle->worker->pool->max_message};
  if (!transfer_pack(L, 2, lua_gettop(L) - 1, "progress #", &message)) {
    transfer_free(&message);
    script_place_push(L);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  uint32_t cost = wait_cost(message.bytes.len);
  ProgressState state = progress_put(handle->progress, &message);
  transfer_free(&message);
  if (state == PROGRESS_NO_MEMORY) return script_place_error(L, "job:progress: not enough memory");
  if (state == PROGRESS_WAIT)
    return progress_suspend(L, ml_wait_enter(L, "job:progress"), handle->progress, true, put_again);
  lua_pushboolean(L, state == PROGRESS_DONE);
  return wait_spared(L, 1, cost);
}

/* job:progress(v, ...) -> boolean: sends copies of the values to the reader of the call's progress.
   Waits while too many are unread. Returns false, without copying anything, if nobody reads or the
   job has ended. */
static int l_job_progress(lua_State *L) {
  JobHandle *handle = check_job(L);
  check_true(L, !lua_isnoneornil(L, 2), 2, "a value is expected (nil would end the iteration)");
  if (handle->progress && !progress_is_over(handle->progress)) return put(L, handle);
  lua_pushboolean(L, false);
  return 1;
}

/* job:cancelled() -> boolean: has the job been cancelled? Useful in its clean-up. False after it
   has ended. */
static int l_job_cancelled(lua_State *L) {
  const JobHandle *handle = check_job(L);
  const Worker *w = handle->worker;
  Job *job = w->state_jobs == handle->number ? atomic_load(&w->job) : NULL;
  lua_pushboolean(L, job && atomic_load(&job->cancelled));
  return 1;
}

static int l_job_gc(lua_State *L) {
  JobHandle *handle = check_job(L);
  progress_release(handle->progress);
  handle->progress = NULL;
  return 0;
}

/* Is the running task the worker's job, or a task started by it? */
static bool belongs_to_job(const Worker *w, const Task *t) {
  while (t && t != w->task) t = t->parent;
  return t != NULL;
}

int executor_current(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"progress", l_job_progress}, {"cancelled", l_job_cancelled}, {NULL, NULL}};
  Runtime *rt = runtime_of(L);
  Worker *w = rt->user;
  if (!w || !w->initialized || !rt->scheduler.current ||
      !belongs_to_job(w, rt->scheduler.current)) {
    lua_pushnil(L);
    return 1;
  }
  JobHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (JobHandle){.worker = w, .number = w->state_jobs};
  class_set(L, JOB, methods, l_job_gc, NULL);
  Progress *progress = atomic_load(&w->job)->progress;
  if (progress) handle->progress = progress_hold(progress);
  return 1;
}
