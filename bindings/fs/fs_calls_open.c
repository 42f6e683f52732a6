#include "bindings/check.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"
#include "bindings/stream/stream_object.h"
#include "core/script_place.h"
#include "core/wait.h"
#include "fs/file_io.h"
#include "fs/file_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_CLASS "moonloop.file"

/* --- methods --- */

static FileStream *check_file(lua_State *L) {
  Stream *s = stream_object_check(L);
  FileStream *f = file_stream_of(s);
  if (!f) check_self_fail(L, FILE_CLASS);
  return f;
}

/* The file is held by the job, and its descriptor with it. */
static void let_go(FsJob *job) { file_stream_let_go(job->file); }

static int start(lua_State *L, FileStream *f, const char *name, bool (*run)(FsJob *),
                 int (*push)(lua_State *, FsJob *), lua_Integer offset) {
  Task *t = ml_wait_enter(L, name);
  lua_settop(L, 1);
  lua_pushstring(L, f->path);
  FsJob *job = fs_job_new(L, name, run, 2, 0, 0);
  job->file = f;
  job->offset = offset;
  job->undo = let_go;
  job->push = push;
  file_stream_hold(f);
  return fs_job_start(L, t, job);
}

static int push_self(lua_State *L, FsJob *job) {
  (void)job;
  lua_pushvalue(L, 1);
  return 1;
}

static bool run_size(FsJob *job) {
  if (fstat(job->file->fd, &job->about)) return fs_failure_set(&job->failure, "seek", NULL);
  job->offset += job->about.st_size;
  return job->offset >= 0 || fs_failure_set_error(&job->failure, EINVAL, "seek", NULL);
}

static int push_place(lua_State *L, FsJob *job) {
  file_stream_move(job->file, (off_t)job->offset);
  lua_pushinteger(L, job->offset);
  return 1;
}

/* Pushes nil and the error. */
static int cannot_seek(lua_State *L, const FileStream *f, int error) {
  FsFailure failure = {.error = error, .call = "seek"};
  return fs_job_fail(L, &failure, "file:seek", f->path, NULL);
}

/* seek([whence [, offset]]) -> the new place | nil, err: as file:seek of io. Suspends for "end". */
static int l_seek(lua_State *L) {
  FileStream *f = check_file(L);
  const char *whence = lua_isnoneornil(L, 2) ? "cur" : check_string(L, 2);
  lua_Integer offset = check_opt_integer(L, 3, 0);
  bool is_end = strcmp(whence, "end") == 0, is_set = strcmp(whence, "set") == 0;
  check_true(L, is_end || is_set || strcmp(whence, "cur") == 0, 2,
             "\"set\", \"cur\" or \"end\" expected");
  if (f->stream.is_closed) return stream_object_failed(L, &f->stream, "seeking in", UV_ECANCELED);
  if (!f->is_regular) return cannot_seek(L, f, ESPIPE);
  if (f->stream.reader || f->stream.writers)
    return script_place_error(L,
                              "file:seek: another task is reading or writing (wait for it first)");
  if (is_end) return start(L, f, "file:seek", run_size, push_place, offset);
  lua_Integer at = is_set ? offset : (lua_Integer)file_stream_place(f) + offset;
  if (at < 0) return cannot_seek(L, f, EINVAL);
  if (at != (lua_Integer)file_stream_place(f)) file_stream_move(f, (off_t)at);
  lua_pushinteger(L, at);
  return 1;
}

static bool run_sync(FsJob *job) {
  return fsync(job->file->fd) == 0 || fs_failure_set(&job->failure, "fsync", NULL);
}

/* sync() -> file | nil, err: what was written is on the disk. Suspends. */
static int l_sync(lua_State *L) {
  FileStream *f = check_file(L);
  if (f->stream.is_closed) return stream_object_failed(L, &f->stream, "syncing", UV_ECANCELED);
  return start(L, f, "file:sync", run_sync, push_self, 0);
}

static bool run_truncate(FsJob *job) {
  return file_io_truncate(job->file->fd, (off_t)job->offset) == 0 ||
         fs_failure_set(&job->failure, "truncate", NULL);
}

/* truncate([size]) -> file | nil, err: cuts the file off, or fills it with zeros, to `size` bytes:
   by default up to the present place, which stays the same. Suspends. */
static int l_truncate(lua_State *L) {
  FileStream *f = check_file(L);
  lua_Integer size = check_opt_integer(L, 2, (lua_Integer)file_stream_place(f));
  check_true(L, size >= 0, 2, "a number of bytes cannot be negative");
  if (f->stream.is_closed) return stream_object_failed(L, &f->stream, "truncating", UV_ECANCELED);
  if (f->stream.reader || f->stream.writers)
    return script_place_error(
        L, "file:truncate: another task is reading or writing (wait for it first)");
  file_stream_move(f, file_stream_place(f));
  return start(L, f, "file:truncate", run_truncate, push_self, size);
}

/* --- the end --- */

static int end_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType end_wait = {.name = "a file to be removed",
                                  .cancel = wait_cancel_nothing,
                                  .finish = end_finish,
                                  .cancel_is_deferred = true};

/* close(), also __close: closes it. Suspends until a temporary one is removed, also in clean-up. */
static int l_close(lua_State *L) {
  FileStream *f = check_file(L);
  stream_close(&f->stream);
  if (!f->is_temporary || f->stream.is_gone || f->closer.task || !wait_is_possible(L)) return 0;
  Task *t = ml_wait_enter_cleanup(L, "file:close");
  f->closer = ml_wait_waker(t);
  return ml_wait_suspend(L, t, &end_wait, f);
}

/* --- opening --- */

/* A method or field of all streams, or `path`. Upvalues: the methods, and __index of all streams.
 */
static int l_index(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "path") == 0) {
    lua_pushstring(L, check_file(L)->path);
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

/* The class of files: all methods of streams, but with a `close` and an __index of its own. */
static StreamObject *push_object(lua_State *L) {
  static const luaL_Reg methods[] = {{"seek", l_seek},
                                     {"sync", l_sync},
                                     {"truncate", l_truncate},
                                     {"close", l_close},
                                     {NULL, NULL}};
  bool is_made = luaL_getmetatable(L, FILE_CLASS) != LUA_TNIL;
  lua_pop(L, 1);
  StreamObject *object = stream_object_push(L, FILE_CLASS, methods);
  if (is_made) return object;
  lua_getmetatable(L, -1);
  lua_getfield(L, -1, "__index");
  lua_getupvalue(L, -1, 1);
  lua_insert(L, -2);
  lua_pushcclosure(L, l_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  return object;
}

static int push_stream(lua_State *L, FsJob *job, const char *path, bool is_temporary) {
  Streams *all = stream_object_shared(L);
  StreamObject *object = push_object(L);
  int access = job->mode & O_ACCMODE;
  FileStream *f = file_stream_open(all, job->fd, path, access != O_WRONLY, access != O_RDONLY,
                                   job->mode & O_APPEND, S_ISREG(job->about.st_mode));
  if (!f) return luaL_error(L, "not enough memory for a file");
  job->fd = -1;
  f->is_temporary = is_temporary;
  object->stream = &f->stream;
  return 1;
}

static bool run_open(FsJob *job) {
  job->fd = file_io_open(job->path, job->mode, 0666, &job->job.abandoned);
  if (job->fd < 0) return fs_failure_set(&job->failure, "open", NULL);
  if (fstat(job->fd, &job->about)) return fs_failure_set(&job->failure, "stat", NULL);
  return !S_ISDIR(job->about.st_mode) || fs_failure_set_error(&job->failure, EISDIR, "open", NULL);
}

static int push_opened(lua_State *L, FsJob *job) { return push_stream(L, job, job->path, false); }

/* The flags of open(2) for a mode of io.open, or -1. */
static int flags_of(const char *mode) {
  char kind = *mode ? *mode++ : '\0';
  bool both = *mode == '+';
  mode += both;
  if (*mode == 'b') mode++;
  if (*mode) return -1;
  int access = both ? O_RDWR : kind == 'r' ? O_RDONLY : O_WRONLY;
  switch (kind) {
  case 'r':
    return access;
  case 'w':
    return access | O_CREAT | O_TRUNC;
  case 'a':
    return access | O_CREAT | O_APPEND;
  default:
    return -1;
  }
}

/* open(path [, mode]) -> file | nil, err: a stream. The modes are those of io.open. */
static int l_open(lua_State *L) {
  fs_job_check_path(L, 1);
  int flags = flags_of(lua_isnoneornil(L, 2) ? "r" : check_string(L, 2));
  check_true(L, flags >= 0, 2, "a mode is \"r\", \"w\", \"a\", \"r+\", \"w+\" or \"a+\"");
  Task *t = ml_wait_enter(L, "ml.fs.open");
  FsJob *job = fs_job_new(L, "ml.fs.open", run_open, 1, 0, 0);
  job->mode = flags;
  job->push = push_opened;
  return fs_job_start(L, t, job);
}

static bool run_temp_file(FsJob *job) {
  char *path = strdup(job->path);
  if (!path) return fs_failure_set_error(&job->failure, ENOMEM, "open", NULL);
  job->fd = mkostemp(path, O_CLOEXEC);
  if (job->fd < 0) {
    fs_failure_set(&job->failure, "open", NULL);
    free(path);
    return false;
  }
  job->made = path;
  job->mode = O_RDWR;
  return fstat(job->fd, &job->about) == 0 || fs_failure_set(&job->failure, "stat", NULL);
}

/* A file that nobody has got is removed. */
static void drop_temp_file(FsJob *job) {
  if (job->made && job->fd >= 0) unlink(job->made);
  free(job->made);
}

static int push_temp_file(lua_State *L, FsJob *job) { return push_stream(L, job, job->made, true); }

/* temp_file() -> file | nil, err: a new file that only we may open, for reading and writing, with
   its `path`. It is removed when it is closed. */
static int l_temp_file(lua_State *L) {
  Task *t = ml_wait_enter(L, "ml.fs.temp_file");
  lua_settop(L, 0);
  fs_job_push_template(L);
  FsJob *job = fs_job_new(L, "ml.fs.temp_file", run_temp_file, 1, 0, 0);
  job->push = push_temp_file;
  job->undo = drop_temp_file;
  return fs_job_start(L, t, job);
}

void fs_calls_open_streams(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_open}, {"temp_file", l_temp_file}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
