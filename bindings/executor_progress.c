/* What a job tells its caller while it runs: job:progress(v) there, call:progress() here. */
#include "executor_binding.h"
#include "modules.h"

#include "transfer.h"
#include "worker.h"

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
  transfer_free(&message);
  return n < 0 ? lua_error(L) : n;
}

/* progress:take() -> the next values | nil when the job has ended and all were taken */
static int progress_take_values(lua_State *L) {
  Progress *p = executor_check_progress(L, 1);
  lua_settop(L, 1);
  return take(L, p);
}

/* progress:discard(): nobody will take any more. Also its __close and __gc. */
static int progress_do_discard(lua_State *L) {
  progress_discard(executor_check_progress(L, 1));
  return 0;
}

static int progress_gc(lua_State *L) {
  ProgressHandle *handle = luaL_checkudata(L, 1, PROGRESS);
  if (!handle->progress) return 0;
  progress_discard(handle->progress);
  progress_release(handle->progress);
  handle->progress = NULL;
  return 0;
}

int executor_progress_new(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"take", progress_take_values}, {"discard", progress_do_discard}, {NULL, NULL}};
  ProgressHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  handle->progress = NULL;
  modules_set_class(L, PROGRESS, methods, progress_gc, progress_do_discard);
  handle->progress = progress_new();
  if (!handle->progress) return luaL_error(L, "ml.executor: not enough memory");
  return 1;
}

/* --- the job's side --- */

/* A job as its own code sees it; harmless when it has ended. */
typedef struct JobHandle {
  Worker *worker;
  uint64_t number; /* of the job among those of the worker's state */
  Progress *progress;
} JobHandle;

static JobHandle *check_job(lua_State *L) { return luaL_checkudata(L, 1, JOB); }

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
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  ProgressState state = progress_put(handle->progress, &message);
  transfer_free(&message);
  if (state == PROGRESS_NO_MEMORY) return luaL_error(L, "job:progress: not enough memory");
  if (state == PROGRESS_WAIT)
    return progress_suspend(L, ml_wait_enter(L, "job:progress"), handle->progress, true, put_again);
  lua_pushboolean(L, state == PROGRESS_DONE);
  return 1;
}

/* job:progress(v, ...) -> boolean: sends copies of the values to who iterates the call's progress.
   Waits while too many are unread. False, and nothing is copied: nobody reads, or the job has
   ended. */
static int job_progress(lua_State *L) {
  JobHandle *handle = check_job(L);
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value is expected (nil would end the iteration)");
  if (handle->progress && !progress_is_over(handle->progress)) return put(L, handle);
  lua_pushboolean(L, false);
  return 1;
}

/* job:cancelled() -> boolean: was it? Its clean-up may ask. False when it has ended. */
static int job_cancelled(lua_State *L) {
  const JobHandle *handle = check_job(L);
  const Worker *w = handle->worker;
  Job *job = w->state_jobs == handle->number ? atomic_load(&w->job) : NULL;
  lua_pushboolean(L, job && atomic_load(&job->cancelled));
  return 1;
}

static int job_gc(lua_State *L) {
  JobHandle *handle = check_job(L);
  progress_release(handle->progress);
  handle->progress = NULL;
  return 0;
}

/* Is the running task the worker's job, or was it started by it? */
static bool belongs_to_job(const Worker *w, const Task *t) {
  while (t && t != w->task) t = t->parent;
  return t != NULL;
}

int executor_current(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"progress", job_progress}, {"cancelled", job_cancelled}, {NULL, NULL}};
  Runtime *rt = runtime_of(L);
  Worker *w = rt->user;
  if (!w || !w->initialized || !rt->current || !belongs_to_job(w, rt->current)) {
    lua_pushnil(L);
    return 1;
  }
  JobHandle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (JobHandle){.worker = w, .number = w->state_jobs};
  modules_set_class(L, JOB, methods, job_gc, NULL);
  Progress *progress = atomic_load(&w->job)->progress;
  if (progress) handle->progress = progress_hold(progress);
  return 1;
}
