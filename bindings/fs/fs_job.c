#include "bindings/fs/fs_job.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/script_place.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOX "moonloop.fs_job"

/* --- arguments --- */

const char *fs_job_check_path(lua_State *L, int index) {
  size_t n;
  if (lua_type(L, index) != LUA_TSTRING) check_type_fail(L, index, "path");
  const char *path = lua_tolstring(L, index, &n);
  check_true(L, strlen(path) == n, index, "the path contains a NUL");
  return path;
}

/* The mode at `index`, or -1 if it is none. */
static int to_mode(lua_State *L, int index) {
  lua_Integer mode = -1;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = lua_tostring(L, index);
    size_t n = strspn(text, "01234567");
    if (n && n < 6 && !text[n]) mode = strtol(text, NULL, 8);
  } else if (lua_isinteger(L, index)) {
    mode = lua_tointeger(L, index);
  }
  return mode >= 0 && mode <= 07777 ? (int)mode : -1;
}

int fs_job_check_mode(lua_State *L, int index) {
  int mode = to_mode(L, index);
  check_true(L, mode >= 0, index, "a mode is octal digits as \"644\", or an integer to 0o7777");
  return mode;
}

static int option_fail(lua_State *L, int index, const char *name, const char *whose,
                       const char *expected) {
  return script_place_error(L, "option '%s' of %s is a %s (expected %s)", name, whose,
                            luaL_typename(L, index), expected);
}

bool fs_job_flag(lua_State *L, int index, const char *whose, const char *name, bool otherwise) {
  bool value = otherwise;
  if (!lua_istable(L, index)) return value;
  int type = lua_getfield(L, index, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) option_fail(L, -1, name, whose, "boolean");
  if (type == LUA_TBOOLEAN) value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

int fs_job_mode(lua_State *L, int index, const char *whose, int otherwise) {
  if (!lua_istable(L, index)) return otherwise;
  int type = lua_getfield(L, index, "mode"), mode = type == LUA_TNIL ? otherwise : to_mode(L, -1);
  if (mode < 0)
    script_place_error(
        L, "option 'mode' of %s is not octal digits as \"644\", or an integer to 0o7777", whose);
  lua_pop(L, 1);
  return mode;
}

void fs_job_push_template(lua_State *L) {
  const char *folder = getenv("TMPDIR");
  lua_pushfstring(L, "%s/moonloop-XXXXXX", folder && *folder ? folder : "/tmp");
}

/* --- jobs --- */

static void drop(ThreadJob *head) {
  FsJob *job = (FsJob *)head;
  if (job->undo) job->undo(job);
  if (job->fd >= 0) close(job->fd); /* opened for reading: nothing can be lost */
  free(job->failure.path);
  buffer_free(&job->data);
  free(job);
}

static void run(ThreadJob *head) {
  FsJob *job = (FsJob *)head;
  job->ok = !fs_failure_stopped(&job->failure, &head->abandoned) && job->run(job);
}

/* The box owns a finished job until its results have been pushed. */
static int l_box_gc(lua_State *L) {
  FsJob **box = lua_touserdata(L, 1);
  if (*box) drop(&(*box)->job);
  *box = NULL;
  return 0;
}

/* Copies the string at `index`, if that is not 0. */
static const char *put(lua_State *L, int index, char **to, size_t *n) {
  if (!index) return NULL;
  char *at = *to;
  const char *text = lua_tolstring(L, index, n);
  memcpy(at, text, *n + 1);
  *to += *n + 1;
  return at;
}

static size_t size_of(lua_State *L, int index) {
  size_t n;
  return index && lua_tolstring(L, index, &n) ? n + 1 : 0;
}

FsJob *fs_job_new(lua_State *L, const char *name, bool (*operation)(FsJob *), int path, int other,
                  int bytes) {
  size_t n, all = size_of(L, path) + size_of(L, other) + size_of(L, bytes);
  FsJob **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  class_set(L, BOX, (luaL_Reg[]){{NULL, NULL}}, l_box_gc, NULL);
  FsJob *job = malloc(sizeof *job + all);
  if (!job) luaL_error(L, "not enough memory");
  memset(job, 0, sizeof *job);
  job->fd = -1;
  job->job.run = run;
  job->job.drop = drop;
  job->name = name;
  job->run = operation;
  char *to = job->text;
  job->path = put(L, path, &to, &n);
  job->other = put(L, other, &to, &n);
  job->bytes = put(L, bytes, &to, &job->size);
  return job;
}

/* --- results --- */

static const char *hint(const FsFailure *failure, const char *name) {
  switch (failure->error) {
  case EISDIR:
    return strcmp(name, "ml.fs.read") == 0 ? " (ml.fs.list reads folders)" : "";
  case ENOENT:
    return strcmp(name, "ml.fs.write") == 0 || strcmp(name, "ml.fs.mkdir") == 0
               ? " (ml.fs.mkdir with parents = true makes the folders that lead there)"
               : "";
  case ENOTEMPTY:
    return strcmp(name, "ml.fs.remove") == 0 ? " (recursive = true removes what is in it, too)"
                                             : "";
  case EXDEV:
    return " (it is on another file system: ml.fs.copy, then ml.fs.remove)";
  default:
    return "";
  }
}

int fs_job_fail(lua_State *L, const FsFailure *failure, const char *name, const char *path,
                const char *other) {
  const char *where = failure->path ? failure->path : path;
  lua_pushnil(L);
  if (failure->beyond)
    ml_error_push(L, "limit", NULL, "%s: '%s' has more than the bytes that are allowed", name,
                  where);
  else
    ml_error_push(L, "fs", uv_err_name(-failure->error), "%s: cannot %s '%s'%s%s%s: %s%s", name,
                  failure->call, where, other ? " to '" : "", other ? other : "", other ? "'" : "",
                  uv_strerror(-failure->error), hint(failure, name));
  lua_pushstring(L, where);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, failure->call);
  lua_setfield(L, -2, "call");
  return 2;
}

static int fail_beyond(lua_State *L, const FsJob *job) {
  lua_pushnil(L);
  ml_error_push(L, "limit", NULL, "%s: '%s' has more than %zu bytes", job->name, job->path,
                job->max);
  lua_pushstring(L, job->path);
  lua_setfield(L, -2, "path");
  return 2;
}

int fs_job_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  FsJob *job = op, **box = lua_touserdata(L, -1);
  *box = job;
  int n;
  if (job->failure.beyond)
    n = fail_beyond(L, job);
  else if (!job->ok)
    n = fs_job_fail(L, &job->failure, job->name, job->path, job->other);
  else if (job->push)
    n = job->push(L, job);
  else
    lua_pushboolean(L, n = 1);
  *box = NULL;
  drop(&job->job);
  return n;
}

void fs_job_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  const FsJob *job = op;
  snprintf(text, size, "%s of %s", job->name, job->path);
}

static const WaitType job_wait = {.name = "files",
                                  .cancel = thread_job_cancel,
                                  .finish = fs_job_finish,
                                  .describe = fs_job_describe};

int fs_job_start(lua_State *L, Task *t, FsJob *job) {
  return thread_job_suspend(L, t, &job_wait, &job->job);
}

int fs_job_start_on(lua_State *L, const char *name, bool (*operation)(FsJob *),
                    int (*push)(lua_State *L, FsJob *job)) {
  fs_job_check_path(L, 1);
  Task *t = ml_wait_enter(L, name);
  FsJob *job = fs_job_new(L, name, operation, 1, 0, 0);
  job->push = push;
  return fs_job_start(L, t, job);
}

int fs_job_push_data(lua_State *L, FsJob *job) {
  lua_pushlstring(L, job->data.data, job->data.len);
  return 1;
}

void fs_job_start_alone(lua_State *L, FsJob *job) {
  if (thread_job_start_alone(runtime_of(L), &job->job)) drop(&job->job);
}
