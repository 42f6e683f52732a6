/* What is in a folder. */
#ifndef ML_FOLDER_LIST_H
#define ML_FOLDER_LIST_H

#include "base/buffer.h"
#include "fs/fs_failure.h"

#include <stdint.h>

/* Appends the entries of the folder without "." and "..", sorted by the bytes of their names: each
   is a character for its type (folder_list_type) and the name with its NUL. Any thread. */
bool folder_list_read(const char *path, FsStop *stop, Buffer *entries, FsFailure *failure);

/* The same for an open folder, which is closed. `path` is for messages. */
bool folder_list_read_at(int fd, const char *path, FsStop *stop, Buffer *entries,
                         FsFailure *failure);

/* The character for the file type in `mode`: f(ile), d(irectory), l(ink), p(ipe), s(ocket), c(har),
   b(lock), or ? */
char folder_list_type(uint32_t mode);

#endif
