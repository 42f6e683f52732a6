#include "base/archive.h"
#include "bindings/check.h"
#include "bindings/fields.h"
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/fs_job.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is known of a file --- */

/* Of what is inside of the program: a file or a folder that can be read. */
static bool stat_inside(const char *path, struct stat *about) {
  ArchiveFile file = {.size = 0};
  bool is_file = archive_find(path, &file);
  if (!is_file && !archive_has_folder(path)) return false;
  struct timespec time = {.tv_sec = archive_time()};
  *about = (struct stat){.st_mode = is_file ? S_IFREG | 0444 : S_IFDIR | 0555,
                         .st_size = (off_t)file.size,
                         .st_nlink = 1,
                         .st_mtim = time,
                         .st_atim = time,
                         .st_ctim = time};
  return true;
}

static bool run_stat(FsJob *job) {
  return stat_inside(job->path, &job->about) || stat(job->path, &job->about) == 0 ||
         fs_failure_set(&job->failure, "stat", NULL);
}

static bool run_lstat(FsJob *job) {
  return lstat(job->path, &job->about) == 0 || fs_failure_set(&job->failure, "lstat", NULL);
}

static double seconds(struct timespec at) { return (double)at.tv_sec + (double)at.tv_nsec / 1e9; }

static const char *type_name(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "char";
  case S_IFBLK:
    return "block";
  default:
    return "unknown";
  }
}

static int push_about(lua_State *L, FsJob *job) {
  const struct stat *about = &job->about;
  lua_createtable(L, 0, 12);
  lua_pushstring(L, type_name(about->st_mode));
  lua_setfield(L, -2, "type");
  fields_set_integer(L, "size", (lua_Integer)about->st_size);
  fields_set_integer(L, "mode", (lua_Integer)(about->st_mode & 07777));
  fields_set_number(L, "mtime", seconds(about->st_mtim));
  fields_set_number(L, "atime", seconds(about->st_atim));
  fields_set_number(L, "ctime", seconds(about->st_ctim));
  fields_set_integer(L, "uid", (lua_Integer)about->st_uid);
  fields_set_integer(L, "gid", (lua_Integer)about->st_gid);
  fields_set_integer(L, "nlink", (lua_Integer)about->st_nlink);
  fields_set_integer(L, "ino", (lua_Integer)about->st_ino);
  fields_set_integer(L, "dev", (lua_Integer)about->st_dev);
  return 1;
}

/* stat(path) -> {type, size, mode, ...} | nil, err: of what links lead to. Times are in seconds
   since 1970. */
static int l_stat(lua_State *L) { return fs_job_start_on(L, "ml.fs.stat", run_stat, push_about); }

/* lstat(path): the same of a link itself. */
static int l_lstat(lua_State *L) {
  return fs_job_start_on(L, "ml.fs.lstat", run_lstat, push_about);
}

static bool run_exists(FsJob *job) {
  return run_stat(job) || job->failure.error == ENOENT || job->failure.error == ENOTDIR;
}

static int push_exists(lua_State *L, FsJob *job) {
  lua_pushboolean(L, !job->failure.error);
  return 1;
}

/* exists(path) -> boolean | nil, err: is there something, also behind links? nil: it cannot be
   told. */
static int l_exists(lua_State *L) {
  return fs_job_start_on(L, "ml.fs.exists", run_exists, push_exists);
}

/* --- what can be changed of it --- */

/* `serve --sandbox` lets nobody name the file whose mode or times are to change, but open it.
   `times`: to be set, or else `mode`. */
static bool change_opened(const char *path, mode_t mode, const struct timespec *times) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return false;
  int rc = times ? futimens(fd, times) : fchmod(fd, mode), error = errno;
  close(fd);
  errno = error;
  return rc == 0;
}

static bool run_chmod(FsJob *job) {
  mode_t mode = (mode_t)job->mode;
  return chmod(job->path, mode) == 0 || (errno == EPERM && change_opened(job->path, mode, NULL)) ||
         fs_failure_set(&job->failure, "chmod", NULL);
}

/* chmod(path, mode) -> true | nil, err */
static int l_chmod(lua_State *L) {
  fs_job_check_path(L, 1);
  int mode = fs_job_check_mode(L, 2);
  Task *t = ml_wait_enter(L, "ml.fs.chmod");
  FsJob *job = fs_job_new(L, "ml.fs.chmod", run_chmod, 1, 0, 0);
  job->mode = mode;
  return fs_job_start(L, t, job);
}

/* NaN is now. */
static struct timespec time_of(double at) {
  if (isnan(at)) return (struct timespec){.tv_nsec = UTIME_NOW};
  double whole = floor(at);
  long rest = lround((at - whole) * 1e9);
  return rest < 1000000000L ? (struct timespec){(time_t)whole, rest}
                            : (struct timespec){(time_t)whole + 1, 0};
}

static bool run_utime(FsJob *job) {
  const struct timespec times[2] = {time_of(job->accessed), time_of(job->modified)};
  return utimensat(AT_FDCWD, job->path, times, 0) == 0 ||
         (errno == EPERM && change_opened(job->path, 0, times)) ||
         fs_failure_set(&job->failure, "utime", NULL);
}

static double check_time(lua_State *L, int index, double otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  double at = check_number(L, index);
  check_true(L, fabs(at) < 1e11, index, "a time is in seconds since 1970");
  return at;
}

/* utime(path [, accessed [, modified]]) -> true | nil, err: now, if nil; `modified` is `accessed`
   unless given. */
static int l_utime(lua_State *L) {
  fs_job_check_path(L, 1);
  double accessed = check_time(L, 2, NAN), modified = check_time(L, 3, accessed);
  Task *t = ml_wait_enter(L, "ml.fs.utime");
  FsJob *job = fs_job_new(L, "ml.fs.utime", run_utime, 1, 0, 0);
  job->accessed = accessed;
  job->modified = modified;
  return fs_job_start(L, t, job);
}

void fs_calls_open_stat(lua_State *L) {
  static const luaL_Reg functions[] = {{"stat", l_stat},   {"lstat", l_lstat}, {"exists", l_exists},
                                       {"chmod", l_chmod}, {"utime", l_utime}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
