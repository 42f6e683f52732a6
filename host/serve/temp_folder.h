/* The folder for temporary files of a process in the sandbox: nobody else's are below it. */
#ifndef ML_TEMP_FOLDER_H
#define ML_TEMP_FOLDER_H

#include <limits.h>

typedef struct TempFolder {
  char path[PATH_MAX];   /* "": there is none */
  char beside[PATH_MAX]; /* the folder that it is in */
} TempFolder;

/* Makes it, in TMPDIR or else /tmp, for this user alone, and has TMPDIR name it from now on. There
   is none where it cannot be made. */
void temp_folder_make(TempFolder *folder);

/* Removes it, with what is in it. */
void temp_folder_remove(TempFolder *folder);

#endif
