/* moonloop.file_writer: files written on libuv's thread pool, under another name until they are
   complete. */
#include "base/descriptor_limit.h"
#include "bindings/class.h"
#include "bindings/web/files.h"
#include "bindings/web/open.h"
#include "core/idle_files.h"
#include "core/thread_job.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITER "moonloop.file_writer"

enum { SUFFIX = 22 }; /* ".0123456789abcdef.part" */

/* Shared by the userdata and a job under way; idle while there is none. */
typedef struct NewFile {
  IdleFile idle; /* with the descriptor; -1: not open yet, or to be opened again */
  dev_t device;
  ino_t inode;
  Runtime *rt;
  unsigned refs;
  bool exists; /* under the name of the part */
  bool replaces;
  char *part_path;
  char path[]; /* followed by the name of the part */
} NewFile;

typedef struct WriteJob {
  ThreadJob job;
  NewFile *file;
  int error; /* errno, or 0 */
  unsigned tries;
  size_t size;
  char bytes[];
} WriteJob;

static void release(NewFile *file) {
  if (!file || --file->refs) return;
  idle_files_remove(file->rt, &file->idle);
  if (file->idle.fd >= 0) close(file->idle.fd); /* it is not wanted: a failure does not matter */
  if (file->exists) unlink(file->part_path);
  free(file);
}

static void drop(ThreadJob *head) {
  NewFile *file = ((WriteJob *)head)->file;
  bool has_user = file->refs > 1;
  release(file);
  if (has_user) idle_files_add(file->rt, &file->idle);
  free(head);
}

static WriteJob *new_job(lua_State *L, NewFile *file, void (*run)(ThreadJob *), const char *bytes,
                         size_t n) {
  WriteJob *job = malloc(sizeof *job + n);
  if (!job) luaL_error(L, "not enough memory");
  memset(job, 0, sizeof *job);
  job->job.run = run;
  job->job.drop = drop;
  job->file = file;
  job->size = n;
  if (n) memcpy(job->bytes, bytes, n);
  file->refs++;
  idle_files_remove(file->rt, &file->idle);
  return job;
}

/* --- on the pool's thread --- */

/* Opens the part. The last descriptors are for others. Returns 0 or an errno. */
static int open_part(NewFile *file, int flags, struct stat *st) {
  int fd = open(file->part_path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (fd < 0) return errno;
  int error = fstat(fd, st) ? errno : fd >= descriptor_limit_of_files() ? EMFILE : 0;
  if (!error) {
    file->idle.fd = fd;
    return 0;
  }
  close(fd);
  if (flags & O_CREAT) unlink(file->part_path);
  return error;
}

static void create_run(ThreadJob *head) {
  WriteJob *job = (WriteJob *)head;
  NewFile *file = job->file;
  struct stat st;
  if (!file->replaces && lstat(file->path, &st) == 0) { /* before all of it has come */
    job->error = EEXIST;
    return;
  }
  job->error = open_part(file, O_CREAT | O_EXCL, &st);
  if (job->error) return;
  file->exists = true;
  file->device = st.st_dev;
  file->inode = st.st_ino;
}

/* Its descriptor was given to others: opens it again, if it is still the one that was made. False:
   job->error says why not. */
static bool open_again(WriteJob *job) {
  NewFile *file = job->file;
  struct stat st;
  job->error = file->idle.error;
  if (job->error || file->idle.fd >= 0) return !job->error;
  job->error = open_part(file, O_APPEND, &st);
  if (!job->error && (st.st_dev != file->device || st.st_ino != file->inode)) {
    close(file->idle.fd);
    file->idle.fd = -1;
    job->error = ENOENT;
  }
  return !job->error;
}

static void write_run(ThreadJob *head) {
  WriteJob *job = (WriteJob *)head;
  if (!open_again(job)) return;
  for (size_t at = 0; at < job->size && !job->error;) {
    ssize_t n = write(job->file->idle.fd, job->bytes + at, job->size - at);
    if (n >= 0)
      at += (size_t)n;
    else if (errno != EINTR)
      job->error = errno;
  }
}

/* Gives the part its name; 0 or an errno. */
static int give_name(const NewFile *file) {
  if (file->replaces) return rename(file->part_path, file->path) ? errno : 0;
  if (!renameat2(AT_FDCWD, file->part_path, AT_FDCWD, file->path, RENAME_NOREPLACE)) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  /* Some file systems cannot do that; most of them have links. */
  if (link(file->part_path, file->path)) return errno;
  return unlink(file->part_path) ? errno : 0;
}

/* Some file systems report a full disk only now. After a crash there is no file, or all of it. */
static void keep_run(ThreadJob *head) {
  WriteJob *job = (WriteJob *)head;
  NewFile *file = job->file;
  if (!open_again(job)) return;
  if (fsync(file->idle.fd)) job->error = errno;
  if (close(file->idle.fd) && errno != EINTR && !job->error) job->error = errno;
  file->idle.fd = -1;
  if (!job->error) job->error = give_name(file);
  file->exists = job->error != 0;
}

/* --- for Lua --- */

static const WaitType write_wait;

static int done(lua_State *L, Task *t, void *op) {
  WriteJob *job = op;
  int error = job->error;
  if (idle_files_make_room(t->rt, -error, &job->tries))
    return thread_job_suspend(L, t, &write_wait, &job->job);
  char path[256];
  snprintf(path, sizeof path, "%s", job->file->path);
  drop(&job->job);
  if (error) return files_error(L, -error, path);
  return 1; /* the writer, still on the top of the stack */
}

static const WaitType write_wait = {
    .name = "a file to be written", .cancel = thread_job_cancel, .finish = done};

static NewFile *check_open(lua_State *L) {
  NewFile *file = *(NewFile **)luaL_checkudata(L, 1, WRITER);
  if (!file || !file->exists) luaL_error(L, "the file is closed");
  if (file->refs > 1) luaL_error(L, "the file is being written by another task");
  return file;
}

/* create(path, replaces) -> writer | nil, err. The file is written beside `path`, as
   path.RANDOM.part. If it `replaces` none, one that exists is an error. */
static int l_create(lua_State *L) {
  size_t n;
  const char *path = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, strlen(path) == n, 1, "the path contains a NUL");
  bool replaces = lua_toboolean(L, 2);
  Task *t = ml_wait_enter(L, "create");
  lua_settop(L, 1);
  NewFile **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, WRITER);
  NewFile *file = malloc(sizeof *file + 2 * n + SUFFIX + 2);
  if (!file) return luaL_error(L, "not enough memory");
  *file = (NewFile){.refs = 1,
                    .idle.fd = -1,
                    .rt = runtime_of(L),
                    .replaces = replaces,
                    .part_path = file->path + n + 1};
  *box = file;
  uint64_t random;
  randombytes_buf(&random, sizeof random);
  memcpy(file->path, path, n + 1);
  snprintf(file->part_path, n + SUFFIX + 1, "%s.%016llx.part", path, (unsigned long long)random);
  return thread_job_suspend(L, t, &write_wait, &new_job(L, file, create_run, NULL, 0)->job);
}

/* writer:write(bytes) -> writer | nil, err */
static int l_write(lua_State *L) {
  size_t n;
  NewFile *file = check_open(L);
  const char *bytes = luaL_checklstring(L, 2, &n);
  Task *t = ml_wait_enter(L, "writer:write");
  WriteJob *job = new_job(L, file, write_run, bytes, n);
  lua_settop(L, 1);
  return thread_job_suspend(L, t, &write_wait, &job->job);
}

/* writer:keep() -> writer | nil, err: the file is complete, is put on the disk, and gets its name.
 */
static int l_keep(lua_State *L) {
  NewFile *file = check_open(L);
  Task *t = ml_wait_enter(L, "writer:keep");
  WriteJob *job = new_job(L, file, keep_run, NULL, 0);
  lua_settop(L, 1);
  return thread_job_suspend(L, t, &write_wait, &job->job);
}

/* writer:close(), also __gc and __close: a file that was not kept is removed. */
static int l_close(lua_State *L) {
  NewFile **box = luaL_checkudata(L, 1, WRITER);
  release(*box);
  *box = NULL;
  return 0;
}

int luaopen_moonloop_file_writer(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", l_write}, {"keep", l_keep}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"create", l_create}, {NULL, NULL}};
  class_make(L, WRITER, methods, l_close, l_close);
  luaL_newlib(L, functions);
  return 1;
}
