#include "fs/file_part.h"

#include "fs/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  RANDOM = 16,
  FRAME = sizeof "..0123456789abcdef.tmp", /* around the name of the target */
  TRIES = 8,
};

static void fill_random(char name[static RANDOM]) {
  static const char digits[] = "0123456789abcdef";
  unsigned char bytes[RANDOM];
  while (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
  }
  for (int i = 0; i < RANDOM; i++) name[i] = digits[bytes[i] & 15];
}

/* The part's path for a new name, in memory to be freed, or NULL. */
static char *part_path(const char *target) {
  const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
  int folder = (int)(name - target);
  int kept = (int)strnlen(name, NAME_MAX - FRAME);
  char random[RANDOM], *path = malloc((size_t)folder + (size_t)kept + FRAME);
  if (!path) return NULL;
  fill_random(random);
  snprintf(path, (size_t)folder + (size_t)kept + FRAME, "%.*s.%.*s.%.*s.tmp", folder, target, kept,
           name, RANDOM, random);
  return path;
}

/* A link stays one: what it leads to is replaced. One that leads nowhere is replaced itself. */
static char *find_target(const char *path) {
  struct stat about;
  char *real = NULL;
  if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode)) real = realpath(path, NULL);
  return real ? real : strdup(path);
}

static bool give_up(FilePart *part) {
  free(part->path);
  free(part->target);
  *part = (FilePart){.fd = -1};
  return false;
}

static bool create(FilePart *part, int mode, FsFailure *failure) {
  for (int i = 0; i < TRIES; i++) {
    free(part->path);
    part->path = part_path(part->target);
    if (!part->path) return fs_failure_set_error(failure, ENOMEM, "open", NULL);
    part->fd =
        open(part->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | FILE_IO_FLAGS, (mode_t)mode);
    if (part->fd >= 0 || errno != EEXIST) break;
  }
  return part->fd >= 0 || fs_failure_set(failure, "open", part->path);
}

bool file_part_open(FilePart *part, const char *path, int mode, FsFailure *failure) {
  struct stat old;
  *part = (FilePart){.fd = -1, .target = find_target(path)};
  if (!part->target) {
    fs_failure_set_error(failure, ENOMEM, "open", NULL);
    return give_up(part);
  }
  bool exists = stat(part->target, &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    fs_failure_set_error(failure, S_ISDIR(old.st_mode) ? EISDIR : EINVAL, "replace", NULL);
    return give_up(part);
  }
  /* Nobody else sees the content before the old file's mode holds. */
  if (!create(part, exists ? 0600 : mode, failure)) return give_up(part);
  if (!exists) return true;
  struct stat now;
  bool is_owner =
      fstat(part->fd, &now) == 0 && now.st_uid == old.st_uid && now.st_gid == old.st_gid;
  /* Only root may give it the old owner. Where that fails, set-user-ID would be for ours. */
  mode_t kept = 07777;
  if (!is_owner && fchown(part->fd, old.st_uid, old.st_gid)) kept = 01777;
  if (fchmod(part->fd, old.st_mode & kept) == 0) return true;
  fs_failure_set(failure, "chmod", part->path);
  file_part_drop(part);
  return false;
}

bool file_part_sync_folder(const char *path, FsFailure *failure) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
  if (!folder) return fs_failure_set_error(failure, ENOMEM, "fsync", NULL);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Some file systems cannot sync folders. */
  bool ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
  if (!ok) fs_failure_set(failure, fd < 0 ? "open" : "fsync", folder);
  if (fd >= 0) close(fd);
  free(folder);
  return ok;
}

bool file_part_keep(FilePart *part, bool sync, bool sync_folder, FsFailure *failure) {
  bool ok = true;
  if (sync && fsync(part->fd)) ok = fs_failure_set(failure, "fsync", part->path);
  /* Some file systems report a full disk only now. */
  if (close(part->fd) && errno != EINTR && ok) ok = fs_failure_set(failure, "close", part->path);
  part->fd = -1;
  if (ok && rename(part->path, part->target)) ok = fs_failure_set(failure, "rename", part->path);
  if (!ok) {
    file_part_drop(part);
    return false;
  }
  if (sync_folder) ok = file_part_sync_folder(part->target, failure);
  give_up(part);
  return ok;
}

void file_part_drop(FilePart *part) {
  if (part->fd >= 0) close(part->fd); /* it is not wanted, so a failure does not matter */
  if (part->path) unlink(part->path);
  give_up(part);
}
