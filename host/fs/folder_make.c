#include "fs/folder_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* Makes one that may exist. Keeps errno of mkdir. */
static bool make_one(const char *path, int mode) {
  if (mkdir(path, (mode_t)mode) == 0) return true;
  int error = errno;
  if (is_folder(path)) return true;
  errno = error;
  return false;
}

bool folder_make(const char *path, int mode, bool parents, FsFailure *failure) {
  if (!parents ? mkdir(path, (mode_t)mode) == 0 : make_one(path, mode)) return true;
  if (!parents || errno != ENOENT) return fs_failure_set(failure, "mkdir", NULL);
  char *part = strdup(path);
  if (!part) return fs_failure_set_error(failure, ENOMEM, "mkdir", NULL);
  bool ok = true;
  for (char *slash = part; ok && (slash = strchr(slash + 1, '/'));) {
    *slash = '\0';
    /* Those on the way can be entered by us, whatever the mode of the last is. */
    ok = make_one(part, 0777) || fs_failure_set(failure, "mkdir", part);
    *slash = '/';
  }
  free(part);
  return ok && (make_one(path, mode) || fs_failure_set(failure, "mkdir", NULL));
}
