/* What the functions of moonloop.fs.core share: an operation on files is one job on libuv's pool,
   from its first system call to its last. */
#ifndef ML_FS_JOB_H
#define ML_FS_JOB_H

#include "base/buffer.h"
#include "core/thread_job.h"
#include "fs/file_stream.h"
#include "fs/fs_failure.h"

#include <lua.h>
#include <sys/stat.h>

/* A job owns all that it works on. */
typedef struct FsJob {
  ThreadJob job;
  const char *name;                             /* of the function, for people: "ml.fs.read" */
  bool (*run)(struct FsJob *job);               /* on a thread; false: `failure` is filled in */
  int (*push)(lua_State *L, struct FsJob *job); /* the results of a success; NULL: true */
  /* Undoes, on the loop's thread, what nobody has got: `push` was not called, or raised. Or NULL.
   */
  void (*undo)(struct FsJob *job);
  FsFailure failure;
  bool ok;
  char *made; /* to be freed: what `undo` is for */
  struct stat about;
  Buffer data;
  FileStream *file; /* whose descriptor is used, for `undo` to let go of; or NULL */
  lua_Integer offset;
  int fd; /* closed with the job, or -1 */
  size_t max, size;
  const char *path, *other, *bytes; /* in `text`, or NULL */
  double accessed, modified;
  int mode;
  bool recursive, append, atomic, sync, sync_name;
  char text[];
} FsJob;

/* Raises unless the value at `index` is a string that can be a path: one without a NUL. */
const char *fs_job_check_path(lua_State *L, int index);

/* A file's mode at `index`: an integer, or octal digits ("644"). */
int fs_job_check_mode(lua_State *L, int index);

/* Fields of the table of options at `index` for `whose`, which may be nil: a boolean, and "mode".
 */
bool fs_job_flag(lua_State *L, int index, const char *whose, const char *name, bool otherwise);
int fs_job_mode(lua_State *L, int index, const char *whose, int otherwise);

/* Pushes the path of a temporary file, to be made unique by mkstemp and the like. */
void fs_job_push_template(lua_State *L);

/* Makes a job for the paths at these indices (0: none) and the bytes at `bytes` (0: none), which
   are copied. Pushes what frees it if its results cannot be pushed. */
FsJob *fs_job_new(lua_State *L, const char *name, bool (*run)(FsJob *job), int path, int other,
                  int bytes);

/* Starts the job, and suspends the task that ml_wait_enter has returned. */
int fs_job_start(lua_State *L, Task *t, FsJob *job);

/* Both for a function whose one argument is a path, without anything to undo. */
int fs_job_start_on(lua_State *L, const char *name, bool (*run)(FsJob *job),
                    int (*push)(lua_State *L, FsJob *job));

/* A `push`: the bytes in `data`. */
int fs_job_push_data(lua_State *L, FsJob *job);

/* The `finish` of a WaitType for a job with a second part. */
int fs_job_finish(lua_State *L, Task *t, void *job);

/* The `describe` of one. */
void fs_job_describe(const Task *t, const void *job, char *text, size_t size);

/* Starts a job that nobody waits for. */
void fs_job_start_alone(lua_State *L, FsJob *job);

/* Pushes nil and the error for a failure of the function `name` on `path`; returns 2. `other` is
   the path that it was to become, or NULL. */
int fs_job_fail(lua_State *L, const FsFailure *failure, const char *name, const char *path,
                const char *other);

#endif
