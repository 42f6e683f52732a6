/* Files that are sent: opening, reading and listing them. These functions block, so that they are
   for libuv's thread pool; errors are libuv's (negative). */
#ifndef ML_SERVED_FILE_H
#define ML_SERVED_FILE_H

#include "buffer.h"
#include <stdint.h>

typedef struct ServedFile {
  int fd; /* the caller closes it */
  uint64_t size;
  int64_t modified; /* seconds since 1970 */
  uint32_t modified_ns;
  bool is_index; /* the path was a directory: this is its index */
} ServedFile;

/* Opens a regular file. UV_EINVAL for what is neither that nor a directory (a FIFO, a device),
   UV_EISDIR for a directory. */
int served_file_open(const char *path, ServedFile *file);

/* The same for a path relative to the directory `root`, which has no "." or ".." segments: whatever
   symbolic links there are, what lies outside of `root` is UV_ENOENT. Of a directory the file
   called `index` is opened; without one, or for NULL, that is UV_EISDIR. */
int served_file_open_beneath(const char *root, const char *path, const char *index,
                             ServedFile *file);

/* Appends `size` bytes from `offset` on, or fewer at the file's end. */
int served_file_read(int fd, uint64_t offset, size_t size, Buffer *data);

/* Appends the names in the directory `path` beneath `root`, sorted by their bytes, each with a NUL
   behind it, those of directories with a '/' before that. "." and ".." are left out, and unless
   `dotfiles` whatever begins with a dot. */
int served_file_list(const char *root, const char *path, bool dotfiles, Buffer *names);

#endif
