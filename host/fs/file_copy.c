#include "fs/file_copy.h"

#include "fs/file_io.h"
#include "fs/file_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, LARGE_PIECE = 16 * 1024 * 1024 };

/* By way of this process's memory, from the places where both are. */
static bool copy_pieces(int from, FilePart *part, bool is_regular, off_t at, FsStop *stop,
                        FsFailure *failure) {
  char *piece = malloc(PIECE);
  if (!piece) return fs_failure_set_error(failure, ENOMEM, "read", NULL);
  bool ok = true;
  while (ok && !fs_failure_stopped(failure, stop)) {
    ssize_t got = file_io_read(from, piece, PIECE, is_regular ? at : -1, stop);
    if (got == 0) break;
    if (got < 0)
      ok = fs_failure_set(failure, "read", NULL);
    else if (file_io_write(part->fd, piece, (size_t)got, -1, stop) < (size_t)got)
      ok = fs_failure_set(failure, "write", part->path);
    at += got;
  }
  free(piece);
  return ok && !failure->error;
}

/* In the kernel, which shares blocks if the file system can. */
static bool copy_content(int from, FilePart *part, FsStop *stop, FsFailure *failure) {
  struct stat about;
  if (fstat(from, &about)) return fs_failure_set(failure, "stat", NULL);
  bool is_regular = S_ISREG(about.st_mode);
  off_t at = 0;
  while (is_regular && !fs_failure_stopped(failure, stop)) {
    ssize_t n = file_io_copy(from, &at, part->fd, LARGE_PIECE);
    if (n == 0 && at > 0) return true;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
      return fs_failure_set(failure, "write", part->path);
    if (n <= 0) break; /* not between these file systems, or a file of the kernel */
  }
  return !failure->error && copy_pieces(from, part, is_regular, at, stop, failure);
}

bool file_copy_whole(const char *from, const char *to, FsStop *stop, FsFailure *failure) {
  struct stat about;
  FilePart part;
  int fd = file_io_open(from, O_RDONLY, 0, stop);
  if (fd < 0) return fs_failure_set(failure, "open", NULL);
  bool ok = fstat(fd, &about) == 0 || fs_failure_set(failure, "stat", NULL);
  if (ok && S_ISDIR(about.st_mode)) ok = fs_failure_set_error(failure, EISDIR, "read", NULL);
  if (ok) ok = file_part_open(&part, to, about.st_mode & 0777, failure);
  if (ok && !(ok = copy_content(fd, &part, stop, failure))) file_part_drop(&part);
  close(fd);
  return ok && file_part_keep(&part, false, false, failure);
}
