#include "bindings/check.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"
#include "bindings/options.h"
#include "fs/folder_list.h"
#include "fs/folder_make.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool run_list(FsJob *job) {
  return folder_list_read(job->path, &job->job.abandoned, &job->data, &job->failure);
}

static int push_list(lua_State *L, FsJob *job, bool types) {
  const char *at = job->data.data, *end = at + job->data.len;
  lua_newtable(L);
  if (types) lua_newtable(L);
  int names = lua_absindex(L, types ? -2 : -1);
  for (lua_Integer i = 1; at < end; i++) {
    if (types) {
      lua_pushlstring(L, at, 1);
      lua_rawseti(L, names + 1, i);
    }
    size_t n = strlen(++at);
    lua_pushlstring(L, at, n);
    lua_rawseti(L, names, i);
    at += n + 1;
  }
  return types ? 2 : 1;
}

static int push_names(lua_State *L, FsJob *job) { return push_list(L, job, false); }
static int push_entries(lua_State *L, FsJob *job) { return push_list(L, job, true); }

/* list(path) -> the names in the folder, sorted | nil, err */
static int l_list(lua_State *L) { return fs_job_start_on(L, "ml.fs.list", run_list, push_names); }

/* entries(path) -> names, types | nil, err: the same with a list of a character each (see
   folder_list.h). */
static int l_entries(lua_State *L) {
  return fs_job_start_on(L, "ml.fs.walk", run_list, push_entries);
}

static bool run_mkdir(FsJob *job) {
  return folder_make(job->path, job->mode, job->recursive, &job->failure);
}

/* mkdir(path [, {parents =, mode =}]) -> true | nil, err. With `parents` the folders that lead
   there are made, too, and one that exists is no error. */
static int l_mkdir(lua_State *L) {
  static const char *const names[] = {"mode", "parents"};
  fs_job_check_path(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) options_check(L, 2, "ml.fs.mkdir", names, 2);
  bool parents = fs_job_flag(L, 2, "ml.fs.mkdir", "parents", false);
  int mode = fs_job_mode(L, 2, "ml.fs.mkdir", 0777);
  Task *t = ml_wait_enter(L, "ml.fs.mkdir");
  FsJob *job = fs_job_new(L, "ml.fs.mkdir", run_mkdir, 1, 0, 0);
  job->recursive = parents;
  job->mode = mode;
  return fs_job_start(L, t, job);
}

/* --- folders for a while --- */

static bool run_temp_dir(FsJob *job) {
  char *path = strdup(job->path);
  if (!path) return fs_failure_set_error(&job->failure, ENOMEM, "mkdir", NULL);
  bool ok = mkdtemp(path) || fs_failure_set(&job->failure, "mkdir", NULL);
  if (ok)
    job->made = path;
  else
    free(path);
  return ok;
}

/* A folder that nobody has got is removed. */
static void drop_temp_dir(FsJob *job) {
  if (job->made) rmdir(job->made);
  free(job->made);
}

static int push_temp_dir(lua_State *L, FsJob *job) {
  lua_pushstring(L, job->made);
  free(job->made);
  job->made = NULL;
  return 1;
}

/* temp_dir() -> the path of a new folder that only we may enter | nil, err */
static int l_temp_dir(lua_State *L) {
  Task *t = ml_wait_enter(L, "ml.fs.temp_dir");
  lua_settop(L, 0);
  fs_job_push_template(L);
  FsJob *job = fs_job_new(L, "ml.fs.temp_dir", run_temp_dir, 1, 0, 0);
  job->push = push_temp_dir;
  job->undo = drop_temp_dir;
  return fs_job_start(L, t, job);
}

void fs_calls_open_folders(lua_State *L) {
  static const luaL_Reg functions[] = {{"list", l_list},
                                       {"entries", l_entries},
                                       {"mkdir", l_mkdir},
                                       {"temp_dir", l_temp_dir},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
