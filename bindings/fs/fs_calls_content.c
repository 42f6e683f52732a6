#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"
#include "bindings/options.h"
#include "core/script_place.h"
#include "fs/file_copy.h"
#include "fs/file_read.h"
#include "fs/file_save.h"

#include <lauxlib.h>
#include <stdint.h>
#include <sys/mman.h>

static bool run_read(FsJob *job) {
  return file_read_whole(job->path, job->max, &job->job.abandoned, &job->data, &job->fd, &job->size,
                         &job->failure);
}

static bool run_read_open(FsJob *job) {
  return file_read_open(job->fd, job->size, job->max, &job->job.abandoned, &job->data,
                        &job->failure);
}

/* Reads the file that is open to where Lua keeps the string, if the system has it in memory: that
   takes as long as it takes to copy what another thread has read. Lua has no strings without
   content, so it is made of zeros, which are in the processor's cache: all of them are the same
   page. Nobody else has seen the string yet. */
static bool push_cached(lua_State *L, const FsJob *job) {
  const char *zeros = *(char **)lua_touserdata(L, lua_upvalueindex(1));
  lua_pushlstring(L, zeros, job->size);
  if (file_read_cached(job->fd, (char *)lua_tostring(L, -1), job->size)) return true;
  lua_pop(L, 1);
  return false;
}

static int read_finish(lua_State *L, Task *t, void *op);

static const WaitType read_wait = {.name = "a file",
                                   .cancel = thread_job_cancel,
                                   .finish = read_finish,
                                   .describe = fs_job_describe};

static int read_finish(lua_State *L, Task *t, void *op) {
  FsJob *job = op, **box = lua_touserdata(L, -1);
  if (!job->ok || job->fd < 0 || job->run != run_read) return fs_job_finish(L, t, job);
  *box = job;
  bool is_there = push_cached(L, job);
  if (!is_there) ml_wait_check_cancel(L);
  *box = NULL;
  if (is_there) {
    job->job.drop(&job->job);
    return 1;
  }
  job->run = run_read_open;
  return thread_job_suspend(L, t, &read_wait, &job->job);
}

/* read(path [, max]) -> text | nil, err: what is at `path`, to its end. More than `max` bytes are
   an error of kind "limit". Upvalue 1 is the place of the zeros. */
static int l_read(lua_State *L) {
  fs_job_check_path(L, 1);
  lua_Integer max = check_opt_integer(L, 2, INT64_MAX);
  check_true(L, max >= 0, 2, "a number of bytes cannot be negative");
  Task *t = ml_wait_enter(L, "ml.fs.read");
  FsJob *job = fs_job_new(L, "ml.fs.read", run_read, 1, 0, 0);
  job->max = (size_t)max;
  job->push = fs_job_push_data;
  return thread_job_suspend(L, t, &read_wait, &job->job);
}

static int l_read_gc(lua_State *L) {
  char **zeros = lua_touserdata(L, 1);
  if (*zeros) munmap(*zeros, FILE_READ_MOST);
  *zeros = NULL;
  return 0;
}

static void open_read(lua_State *L) {
  class_set_with_place(L, "read", l_read, l_read_gc);
  lua_getfield(L, -1, "read");
  lua_getupvalue(L, -1, 1);
  char **place = lua_touserdata(L, -1);
  void *zeros = mmap(NULL, FILE_READ_MOST, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (zeros == MAP_FAILED) luaL_error(L, "not enough memory");
  *place = zeros;
  lua_pop(L, 2);
}

static bool run_write(FsJob *job) {
  FileSave save = {.path = job->path,
                   .bytes = job->bytes,
                   .size = job->size,
                   .mode = job->mode,
                   .append = job->append,
                   .atomic = job->atomic,
                   .sync = job->sync,
                   .sync_name = job->sync_name};
  return file_save(&save, &job->job.abandoned, &job->failure);
}

/* write(path, data [, options]) -> true | nil, err. options: `append`, `atomic`, `sync` (true for
   an atomic one, else false), `mode` of a new file (0666 less the umask). */
static int l_write(lua_State *L) {
  static const char *const names[] = {"append", "atomic", "mode", "sync"};
  fs_job_check_path(L, 1);
  check_string(L, 2);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) options_check(L, 3, "ml.fs.write", names, 4);
  bool append = fs_job_flag(L, 3, "ml.fs.write", "append", false),
       atomic = fs_job_flag(L, 3, "ml.fs.write", "atomic", false);
  bool sync_name = fs_job_flag(L, 3, "ml.fs.write", "sync", false),
       sync = fs_job_flag(L, 3, "ml.fs.write", "sync", atomic);
  int mode = fs_job_mode(L, 3, "ml.fs.write", 0666);
  if (append && atomic)
    script_place_error(L, "ml.fs.write cannot append to a file that it replaces (append, atomic)");
  Task *t = ml_wait_enter(L, "ml.fs.write");
  FsJob *job = fs_job_new(L, "ml.fs.write", run_write, 1, 0, 2);
  job->append = append;
  job->atomic = atomic;
  job->sync = sync;
  job->sync_name = sync_name;
  job->mode = mode;
  return fs_job_start(L, t, job);
}

static bool run_copy(FsJob *job) {
  return file_copy_whole(job->path, job->other, &job->job.abandoned, &job->failure);
}

/* copy(from, to) -> true | nil, err: content and permissions of a file. */
static int l_copy(lua_State *L) {
  fs_job_check_path(L, 1);
  fs_job_check_path(L, 2);
  Task *t = ml_wait_enter(L, "ml.fs.copy");
  return fs_job_start(L, t, fs_job_new(L, "ml.fs.copy", run_copy, 1, 2, 0));
}

void fs_calls_open_content(lua_State *L) {
  static const luaL_Reg functions[] = {{"write", l_write}, {"copy", l_copy}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  open_read(L);
}
