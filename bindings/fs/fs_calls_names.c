#include "bindings/check.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"
#include "bindings/options.h"
#include "fs/tree_remove.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- two names --- */

static bool run_rename(FsJob *job) {
  return rename(job->path, job->other) == 0 || fs_failure_set(&job->failure, "rename", NULL);
}

static bool run_link(FsJob *job) {
  return link(job->path, job->other) == 0 || fs_failure_set(&job->failure, "link", NULL);
}

static bool run_symlink(FsJob *job) {
  return symlink(job->path, job->other) == 0 || fs_failure_set(&job->failure, "symlink", NULL);
}

static int start_two(lua_State *L, const char *name, bool (*run)(FsJob *)) {
  fs_job_check_path(L, 1);
  fs_job_check_path(L, 2);
  Task *t = ml_wait_enter(L, name);
  return fs_job_start(L, t, fs_job_new(L, name, run, 1, 2, 0));
}

/* rename(from, to) -> true | nil, err. A file that is there is replaced. */
static int l_rename(lua_State *L) { return start_two(L, "ml.fs.rename", run_rename); }

/* link(path, new) -> true | nil, err: another name of the same file. */
static int l_link(lua_State *L) { return start_two(L, "ml.fs.link", run_link); }

/* symlink(target, path) -> true | nil, err: a link that leads to `target`. */
static int l_symlink(lua_State *L) { return start_two(L, "ml.fs.symlink", run_symlink); }

/* --- a path as a result --- */

static bool run_readlink(FsJob *job) {
  if (!buffer_reserve(&job->data, PATH_MAX))
    return fs_failure_set_error(&job->failure, ENOMEM, "readlink", NULL);
  ssize_t n = readlink(job->path, job->data.data, job->data.cap);
  if (n < 0) return fs_failure_set(&job->failure, "readlink", NULL);
  job->data.len = (size_t)n;
  return true;
}

static bool run_realpath(FsJob *job) {
  char *real = realpath(job->path, NULL);
  if (!real) return fs_failure_set(&job->failure, "realpath", NULL);
  bool ok = buffer_add(&job->data, real, strlen(real)) ||
            fs_failure_set_error(&job->failure, ENOMEM, "realpath", NULL);
  free(real);
  return ok;
}

/* readlink(path) -> where the link leads, as it was written | nil, err */
static int l_readlink(lua_State *L) {
  return fs_job_start_on(L, "ml.fs.readlink", run_readlink, fs_job_push_data);
}

/* realpath(path) -> the absolute path without links and dots | nil, err */
static int l_realpath(lua_State *L) {
  return fs_job_start_on(L, "ml.fs.realpath", run_realpath, fs_job_push_data);
}

/* --- the end of a name --- */

static bool run_remove(FsJob *job) {
  return tree_remove(job->path, job->recursive, &job->job.abandoned, &job->failure);
}

/* remove(path [, {recursive =}]) -> true | nil, err: a file, a link, or an empty folder; with
   `recursive` also what is in the folder. */
static int l_remove(lua_State *L) {
  static const char *const names[] = {"recursive"};
  fs_job_check_path(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) options_check(L, 2, "ml.fs.remove", names, 1);
  bool recursive = fs_job_flag(L, 2, "ml.fs.remove", "recursive", false);
  Task *t = ml_wait_enter(L, "ml.fs.remove");
  FsJob *job = fs_job_new(L, "ml.fs.remove", run_remove, 1, 0, 0);
  job->recursive = recursive;
  return fs_job_start(L, t, job);
}

/* discard(path): a folder that was forgotten: removes it and what is in it, at some time, without a
   wait. For the collector. */
static int l_discard(lua_State *L) {
  fs_job_check_path(L, 1);
#ifdef ML_DEBUG
  lua_warning(L, lua_tostring(L, 1), 1);
  lua_warning(L, " was not closed before it was collected", 0);
#endif
  FsJob *job = fs_job_new(L, "ml.fs.remove", run_remove, 1, 0, 0);
  job->recursive = true;
  fs_job_start_alone(L, job);
  return 0;
}

void fs_calls_open_names(lua_State *L) {
  static const luaL_Reg functions[] = {{"rename", l_rename},     {"link", l_link},
                                       {"symlink", l_symlink},   {"readlink", l_readlink},
                                       {"realpath", l_realpath}, {"remove", l_remove},
                                       {"discard", l_discard},   {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
