/* Files written in one go. */
#ifndef ML_FILE_SAVE_H
#define ML_FILE_SAVE_H

#include "fs/fs_failure.h"

#include <stddef.h>

typedef struct FileSave {
  const char *path, *bytes;
  size_t size;
  int mode;    /* of a new file, less the umask */
  bool append; /* behind what is there */
  bool atomic; /* beside what is there, which it then replaces: old content or new, never a mix */
  bool sync;   /* on the disk before it ends; an atomic one before it is renamed */
  bool sync_name; /* the name of a new file as well */
} FileSave;

/* Writes the file. If that fails or is stopped, a new file is removed, and an existing one has its
   old content, or all of the new if it was stopped while that was written over the old. Only a disk
   that fails then, or a crash, can leave a mix, and not where `atomic` is true. Any thread. */
bool file_save(const FileSave *save, FsStop *stop, FsFailure *failure);

#endif
