/* The parts of moonloop.executor.core. */
#ifndef ML_EXECUTOR_BINDING_H
#define ML_EXECUTOR_BINDING_H

#include "executor.h"

#define EXECUTOR_POOL "moonloop.executor.pool"

/* The pool at `index`, or an argument error. */
Pool *executor_check_pool(lua_State *L, int index);

/* --- executor_job.c --- */

/* Raises unless what stands at `index` can be called on a pool: a function and its arguments, or a
   list {f, arg, ..., cpu = seconds, slice = seconds} alone. */
void executor_check_call(lua_State *L, int index);

/* copy(what, ...) -> copies of the values, as a worker would get them. `what` names them in the
   error of one that cannot be copied ("argument #"), which is placed where the caller was called.
 */
int executor_copy(lua_State *L);

/* pool:run(f, ...) -> f's results    pool:run{f, ..., cpu = seconds} */
int executor_pool_run(lua_State *L);

/* prepare(pool, progress, f, ...) -> prepared: a job with its copies made, for run_prepared. */
int executor_prepare(lua_State *L);

/* follow(prepared, task): the task is to submit it; if it ends before that, the job is dropped. */
int executor_follow(lua_State *L);

/* run_prepared(pool, prepared) -> f's results: once. */
int executor_run_prepared(lua_State *L);

/* --- executor_progress.c --- */

/* The line of the progress userdata at `index`, or an argument error. */
Progress *executor_check_progress(lua_State *L, int index);

/* progress() -> what a job can send values through. */
int executor_progress_new(lua_State *L);

/* current() -> the job that the calling task belongs to | nil */
int executor_current(lua_State *L);

/* Pushes a table of the loaders of package.preload that are Lua functions which can cross, for
   workers to have, too (executor_preload.c). False, and nothing pushed: there are none. */
bool executor_push_preload(lua_State *L);

#endif
