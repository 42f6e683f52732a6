/* Removing files, and folders with all that is in them. */
#ifndef ML_TREE_REMOVE_H
#define ML_TREE_REMOVE_H

#include "fs/fs_failure.h"

/* Removes a file, a link (not what it leads to) or an empty folder; with `recursive` also what is
   in the folder. Nothing outside of it is removed, whatever others exchange for links meanwhile:
   each folder is entered from the one before, by its descriptor, and only if it is a folder. What
   others have removed in the meantime is no failure. Any thread. */
bool tree_remove(const char *path, bool recursive, FsStop *stop, FsFailure *failure);

#endif
