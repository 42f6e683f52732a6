#include "fs/fs_failure.h"

#include <errno.h>
#include <string.h>

bool fs_failure_set_error(FsFailure *failure, int error, const char *call, const char *path) {
  failure->error = error;
  failure->call = call;
  failure->path = path ? strdup(path) : NULL; /* without memory the message is less exact */
  return false;
}

bool fs_failure_set(FsFailure *failure, const char *call, const char *path) {
  return fs_failure_set_error(failure, errno, call, path);
}

bool fs_failure_stopped(FsFailure *failure, FsStop *stop) {
  if (!atomic_load(stop)) return false;
  fs_failure_set_error(failure, ECANCELED, "finish", NULL);
  return true;
}
