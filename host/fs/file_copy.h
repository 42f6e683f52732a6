/* Copies of files. */
#ifndef ML_FILE_COPY_H
#define ML_FILE_COPY_H

#include "fs/fs_failure.h"

/* Copies the content and the permissions of the file `from`; `to` is replaced when the copy is
   complete, and keeps its own permissions if it exists. Any thread. */
bool file_copy_whole(const char *from, const char *to, FsStop *stop, FsFailure *failure);

#endif
