#include "fs/file_save.h"

#include "fs/file_io.h"
#include "fs/file_part.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 8 };

static bool save_atomic(const FileSave *save, FsStop *stop, FsFailure *failure) {
  FilePart part;
  if (!file_part_open(&part, save->path, save->mode, failure)) return false;
  if (file_io_write(part.fd, save->bytes, save->size, -1, stop) < save->size)
    fs_failure_set(failure, "write", part.path);
  else if (!fs_failure_stopped(failure, stop))
    return file_part_keep(&part, save->sync, save->sync_name, failure);
  file_part_drop(&part);
  return false;
}

/* Opens the file, and finds out whether it is new: only then it may be removed again. */
static int open_target(const FileSave *save, FsStop *stop, bool *is_new) {
  int flags = O_WRONLY | (save->append ? O_APPEND : 0);
  for (int i = 0; i < TRIES; i++) {
    *is_new = true;
    int fd = file_io_open(save->path, flags | O_CREAT | O_EXCL, save->mode, stop);
    if (fd >= 0 || errno != EEXIST) return fd;
    *is_new = false;
    fd = file_io_open(save->path, flags, 0, stop);
    if (fd >= 0 || errno != ENOENT) return fd;
  }
  return file_io_open(save->path, flags | O_CREAT, save->mode, stop); /* a link to nowhere */
}

/* Once bytes are written over, all are: half of each content would be of no use to anybody. */
static bool replace_content(const FileSave *save, int fd, const struct stat *old, FsStop *stop,
                            FsFailure *failure) {
  static const atomic_bool never;
  bool is_regular = S_ISREG(old->st_mode);
  if (is_regular && old->st_size > 0) {
    stop = &never;
    if ((off_t)save->size > old->st_size && !file_io_reserve(fd, (off_t)save->size)) {
      fs_failure_set(failure, "write", NULL);
      if (ftruncate(fd, old->st_size)) failure->call = "truncate"; /* gives back what it got */
      return false;
    }
  }
  if (file_io_write(fd, save->bytes, save->size, is_regular ? 0 : -1, stop) < save->size)
    return fs_failure_set(failure, "write", NULL);
  if (is_regular && old->st_size > (off_t)save->size && ftruncate(fd, (off_t)save->size))
    return fs_failure_set(failure, "truncate", NULL);
  return true;
}

/* Takes back what was written of a piece, unless another process has written meanwhile. */
static bool append(const FileSave *save, int fd, const struct stat *old, FsStop *stop,
                   FsFailure *failure) {
  size_t done = file_io_write(fd, save->bytes, save->size, -1, stop);
  if (done == save->size) return true;
  fs_failure_set(failure, "write", NULL);
  struct stat now;
  if (S_ISREG(old->st_mode) && fstat(fd, &now) == 0 && now.st_size == old->st_size + (off_t)done &&
      ftruncate(fd, old->st_size))
    failure->call = "truncate"; /* the piece is still there */
  return false;
}

static bool save_open(const FileSave *save, int fd, FsStop *stop, FsFailure *failure) {
  struct stat old;
  if (fstat(fd, &old)) return fs_failure_set(failure, "stat", NULL);
  if (save->append ? !append(save, fd, &old, stop, failure)
                   : !replace_content(save, fd, &old, stop, failure))
    return false;
  return !save->sync || fsync(fd) == 0 || errno == EINVAL || fs_failure_set(failure, "fsync", NULL);
}

bool file_save(const FileSave *save, FsStop *stop, FsFailure *failure) {
  if (save->atomic) return save_atomic(save, stop, failure);
  bool is_new;
  int fd = open_target(save, stop, &is_new);
  if (fd < 0) return fs_failure_set(failure, "open", NULL);
  bool ok = save_open(save, fd, stop, failure);
  if (close(fd) && errno != EINTR && ok) ok = fs_failure_set(failure, "close", NULL);
  if (!ok && is_new) unlink(save->path);
  return ok && (!save->sync_name || !is_new || file_part_sync_folder(save->path, failure));
}
