/* Whole files. */
#ifndef ML_FILE_READ_H
#define ML_FILE_READ_H

#include "base/buffer.h"
#include "fs/fs_failure.h"

/* Sizes of the files that may be only opened, and not read at once. */
#define FILE_READ_LEAST ((size_t)64 * 1024)
#define FILE_READ_MOST ((size_t)4 * 1024 * 1024)

/* Reads what is at `path` to its end into the empty buffer, whose memory is the caller's also after
   a failure. More than `max` bytes are a failure that is `beyond`. A regular file of
   FILE_READ_LEAST to FILE_READ_MOST bytes is only opened: then *fd, which was negative, is its
   descriptor, the caller's to close, and *size its size. Any thread. */
bool file_read_whole(const char *path, size_t max, FsStop *stop, Buffer *to, int *fd, size_t *size,
                     FsFailure *failure);

/* Reads the first `n` bytes of that file if the system has all of them in memory; never waits for
   the disk. False: it has not, or not all, or cannot tell. */
bool file_read_cached(int fd, char *to, size_t n);

/* Reads it as file_read_whole does; `size` is what that has said. */
bool file_read_open(int fd, size_t size, size_t max, FsStop *stop, Buffer *to, FsFailure *failure);

#endif
