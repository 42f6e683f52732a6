/* What is in a folder. */
#ifndef ML_FOLDER_LIST_H
#define ML_FOLDER_LIST_H

#include "base/buffer.h"
#include "fs/fs_failure.h"

/* Appends the entries of the folder without "." and "..", sorted by the bytes of their names: each
   is a character for its type, f(ile), d(irectory), l(ink), p(ipe), s(ocket), c(har), b(lock) or ?,
   and the name with its NUL. Any thread. */
bool folder_list_read(const char *path, FsStop *stop, Buffer *entries, FsFailure *failure);

#endif
