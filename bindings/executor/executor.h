/* The parts of moonloop.executor.core. */
#ifndef ML_EXECUTOR_H
#define ML_EXECUTOR_H

#include "executor/pool.h"

#define EXECUTOR_POOL "moonloop.executor.pool"

/* The pool at `index`, or an argument error. */
Pool *executor_check_pool(lua_State *L);

/* Makes jobs submitted from now on find modules where this state does. */
void executor_update_paths(lua_State *L, Pool *pool);

/* --- executor_job.c --- */

/* Raises unless the values from `index` on can be called on a pool: a function and its arguments,
   or only a list {f, arg, ..., cpu = seconds, slice = seconds}. */
void executor_check_call(lua_State *L, int index);

/* copy(what, ...) -> copies of the values, as a worker would get them. `what` names them in the
   error for a value that cannot be copied ("argument #"), which has the line where the caller was
   called. */
int executor_copy(lua_State *L);

/* pool:run(f, ...) -> f's results    pool:run{f, ..., cpu = seconds} */
int executor_pool_run(lua_State *L);

/* prepare(pool, progress, f, ...) -> prepared: a job with its copies made, for run_prepared. */
int executor_prepare(lua_State *L);

/* follow(prepared, task): the task will submit the job; if it ends before that, the job is
   dropped. */
int executor_follow(lua_State *L);

/* run_prepared(pool, prepared) -> f's results: once. */
int executor_run_prepared(lua_State *L);

/* --- executor_progress.c --- */

/* The line of the progress userdata at `index`, or an argument error. */
Progress *executor_check_progress(lua_State *L, int index);

/* progress() -> a channel through which a job can send values. */
int executor_progress_new(lua_State *L);

/* current() -> the job that the calling task belongs to | nil */
int executor_current(lua_State *L);

/* Pushes a table of the loaders in package.preload that are Lua functions and can be copied to
   workers (executor_preload.c). False, with nothing pushed, if there are none. */
bool executor_push_preload(lua_State *L);

#endif
