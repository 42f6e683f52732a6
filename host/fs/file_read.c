#include "fs/file_read.h"

#include "base/archive.h"
#include "fs/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 }; /* the first read of what does not say how large it is */

static bool beyond(FsFailure *failure) {
  failure->beyond = true;
  return fs_failure_set_error(failure, EFBIG, "read", NULL);
}

/* Reads to the end; one byte more than `max` shows that there is more. */
static bool read_rest(int fd, size_t max, bool is_regular, FsStop *stop, Buffer *to,
                      FsFailure *failure) {
  for (;;) {
    if (fs_failure_stopped(failure, stop)) return false;
    if (to->len > max) return beyond(failure);
    if (!buffer_reserve(to, to->len ? 1 : PIECE))
      return fs_failure_set_error(failure, ENOMEM, "read", NULL);
    size_t room = to->cap - to->len, wanted = max - to->len;
    if (wanted < SIZE_MAX) wanted++;
    ssize_t got = file_io_read(fd, to->data + to->len, room < wanted ? room : wanted,
                               is_regular ? (off_t)to->len : -1, stop);
    if (got < 0) return fs_failure_set(failure, "read", NULL);
    if (got == 0) return true;
    to->len += (size_t)got;
  }
}

bool file_read_open(int fd, size_t size, size_t max, FsStop *stop, Buffer *to, FsFailure *failure) {
  if (!buffer_reserve(to, size + 1)) return fs_failure_set_error(failure, ENOMEM, "read", NULL);
  /* A read of one more byte that gets less is at the end of a regular file. */
  while (to->len < size) {
    if (fs_failure_stopped(failure, stop)) return false;
    ssize_t got = file_io_read(fd, to->data + to->len, size + 1 - to->len, (off_t)to->len, stop);
    if (got < 0) return fs_failure_set(failure, "read", NULL);
    if (got == 0) return true; /* it has become shorter */
    to->len += (size_t)got;
  }
  return to->len == size || read_rest(fd, max, true, stop, to, failure);
}

bool file_read_cached(int fd, char *to, size_t n) {
  struct iovec all = {to, n};
  return preadv2(fd, &all, 1, 0, RWF_NOWAIT) == (ssize_t)n;
}

/* Reads a file that is inside of the program. */
static bool read_inside(const ArchiveFile *inside, size_t max, Buffer *to, FsFailure *failure) {
  if (!inside->data) return fs_failure_set_error(failure, EIO, "read", NULL);
  if (inside->size > max) return beyond(failure);
  return buffer_add(to, inside->data, inside->size) ||
         fs_failure_set_error(failure, ENOMEM, "read", NULL);
}

bool file_read_whole(const char *path, size_t max, FsStop *stop, Buffer *to, int *open_fd,
                     size_t *open_size, FsFailure *failure) {
  struct stat about;
  ArchiveFile inside;
  if (archive_find(path, &inside)) return read_inside(&inside, max, to, failure);
  int fd = file_io_open(path, O_RDONLY, 0, stop);
  if (fd < 0) return fs_failure_set(failure, "open", NULL);
  bool ok = fstat(fd, &about) == 0 || fs_failure_set(failure, "stat", NULL);
  bool is_regular = ok && S_ISREG(about.st_mode);
  size_t size = is_regular && about.st_size > 0 ? (size_t)about.st_size : 0;
  if (ok && size > max) ok = beyond(failure);
  if (ok && size >= FILE_READ_LEAST && size <= FILE_READ_MOST) {
    *open_fd = fd;
    *open_size = size;
    return true;
  }
  if (ok) /* files of the kernel say 0 */
    ok = size ? file_read_open(fd, size, max, stop, to, failure)
              : read_rest(fd, max, is_regular, stop, to, failure);
  close(fd); /* opened for reading: nothing can be lost */
  return ok;
}
