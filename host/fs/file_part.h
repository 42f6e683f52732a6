/* A new file beside another, which it replaces when it is complete: readers of that one see the old
   content or the new, and a failure leaves the old. */
#ifndef ML_FILE_PART_H
#define ML_FILE_PART_H

#include "fs/fs_failure.h"

typedef struct FilePart {
  int fd;
  char *path;   /* of the part: ".NAME.0123456789abcdef.tmp" beside the target */
  char *target; /* what it replaces */
} FilePart;

/* Makes the part for `path`, through symbolic links. It gets the mode and, if we may, the owner of
   what is there, or the mode `mode` less the umask. If it fails, nothing is left to be dropped. */
bool file_part_open(FilePart *part, const char *path, int mode, FsFailure *failure);

/* The part is complete: it becomes the target. With `sync` its content is on the disk before, with
   `sync_folder` the new name afterwards. Nothing is left to be dropped, either way. */
bool file_part_keep(FilePart *part, bool sync, bool sync_folder, FsFailure *failure);

/* Removes the part. */
void file_part_drop(FilePart *part);

/* Makes changes of names in the folder of `path` durable. */
bool file_part_sync_folder(const char *path, FsFailure *failure);

#endif
