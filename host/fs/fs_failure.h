/* What an operation on files failed with. */
#ifndef ML_FS_FAILURE_H
#define ML_FS_FAILURE_H

#include <stdatomic.h>
#include <stdbool.h>

/* All zero: nothing has failed. Any thread may use one that is its own. */
typedef struct FsFailure {
  int error;        /* errno */
  const char *call; /* what failed, "open" and the like; lives as long as the program */
  char *path;       /* what it failed on, to be freed; NULL: the path the operation was given */
  bool beyond;      /* not an error of the system: there is more than the limit allows */
} FsFailure;

/* Set by the loop's thread: nobody waits for the operation any more. */
typedef const atomic_bool FsStop;

/* Fills in the failure from errno; `path` is copied, or NULL. Returns false, so that an operation
   can end with it. */
bool fs_failure_set(FsFailure *failure, const char *call, const char *path);

/* The same for an error number. */
bool fs_failure_set_error(FsFailure *failure, int error, const char *call, const char *path);

/* Is nobody waiting any more? Then fills in ECANCELED. */
bool fs_failure_stopped(FsFailure *failure, FsStop *stop);

#endif
