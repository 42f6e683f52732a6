/* New folders. */
#ifndef ML_FOLDER_MAKE_H
#define ML_FOLDER_MAKE_H

#include "fs/fs_failure.h"

/* Makes the folder; with `parents` those that lead to it, too, and one that exists is no failure.
   Any thread. */
bool folder_make(const char *path, int mode, bool parents, FsFailure *failure);

#endif
