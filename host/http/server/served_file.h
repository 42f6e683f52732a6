/* Opens, reads and lists files to send: those inside of the program (base/archive.h) before those
   on the disk. These functions block, so they are for libuv's thread pool; errors are libuv's
   (negative). */
#ifndef ML_SERVED_FILE_H
#define ML_SERVED_FILE_H

#include "base/buffer.h"
#include <stdint.h>

typedef struct ServedFile {
  int fd;             /* the caller closes it; -1: the file is inside of the program */
  const char *inside; /* then its bytes, or NULL */
  uint64_t size;
  int64_t modified; /* seconds since 1970 */
  uint32_t modified_ns;
  uint64_t hash;          /* of one that is inside */
  bool is_index;          /* the path was a directory, and this is its index */
  uint64_t device, inode; /* of one on the disk */
} ServedFile;

/* Opens a regular file. UV_EISDIR for a directory, UV_EINVAL for anything else (a FIFO, a
   device). */
int served_file_open(const char *path, ServedFile *file);

/* The same for a path relative to the directory `root`, without "." and ".." segments: whatever
   symbolic links there are, anything outside of `root` is UV_ENOENT. For a directory, its file
   called `index` is opened; if it is missing, or `index` is NULL, the result is UV_EISDIR. */
int served_file_open_beneath(const char *root, const char *path, const char *index,
                             ServedFile *file);

/* Appends `size` bytes from `offset` on, or fewer at the file's end. */
int served_file_read(int fd, uint64_t offset, size_t size, Buffer *data);

/* Is the path a directory, on the disk or inside of the program? */
bool served_file_is_directory(const char *path);

/* Appends the names in the directory `path` beneath `root`, sorted by bytes, each followed by a
   NUL, those of directories with a '/' before it. "." and ".." are left out, and unless `dotfiles`
   is set, all names that begin with a dot. */
int served_file_list(const char *root, const char *path, bool dotfiles, Buffer *names);

#endif
