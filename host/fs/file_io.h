/* Reading and writing on threads of libuv's pool, which must not be held by a FIFO or a terminal
   that nobody writes to: descriptors are opened with O_NONBLOCK, which means nothing to regular
   files, and a wait ends when nobody waits for its result. */
#ifndef ML_FILE_IO_H
#define ML_FILE_IO_H

#include "fs/fs_failure.h"

#include <stddef.h>
#include <sys/types.h>

/* What every descriptor is opened with. */
#define FILE_IO_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* open(2) with FILE_IO_FLAGS. A FIFO opened for writing waits for its reader. -1: errno. */
int file_io_open(const char *path, int flags, int mode, FsStop *stop);

/* Reads up to `n` bytes from the file's place, or from `at` if that is not negative; waits for the
   first. 0 at the end, -1: errno. */
ssize_t file_io_read(int fd, void *to, size_t n, off_t at, FsStop *stop);

/* Makes sure, before anything is written over, that the disk has room for `size` bytes in the file.
   False: errno; a file system that cannot tell says yes. */
bool file_io_reserve(int fd, off_t size);

/* ftruncate and copy_file_range, which fail with EFBIG in the same way. */
int file_io_truncate(int fd, off_t size);
ssize_t file_io_copy(int from, off_t *at, int to, size_t n);

/* Writes `n` bytes at the file's place, or at `at` if that is not negative. Returns how many were
   written: fewer if it failed (errno). A limit on the size of files (RLIMIT_FSIZE) is a failure,
   not a signal. */
size_t file_io_write(int fd, const void *bytes, size_t n, off_t at, FsStop *stop);

#endif
