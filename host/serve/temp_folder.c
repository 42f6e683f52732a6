#include "serve/temp_folder.h"

#include "fs/tree_remove.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void temp_folder_make(TempFolder *folder) {
  const char *where = getenv("TMPDIR");
  *folder = (TempFolder){0};
  if (!where || !*where) where = "/tmp";
  if (!realpath(where, folder->beside)) return;
  int n = snprintf(folder->path, sizeof folder->path, "%s/moonloop-XXXXXX", folder->beside);
  if (n >= (int)sizeof folder->path || !mkdtemp(folder->path) ||
      setenv("TMPDIR", folder->path, true))
    *folder->path = '\0';
}

void temp_folder_remove(TempFolder *folder) {
  static FsStop never = false;
  char path[PATH_MAX + NAME_MAX + 2];
  DIR *list = *folder->path ? opendir(folder->path) : NULL;
  /* One by one: what is beside the folder may not be touched, not even to find out what it is. */
  for (const struct dirent *entry; list && (entry = readdir(list));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    FsFailure failure = {0};
    snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
    tree_remove(path, true, &never, &failure);
    free(failure.path);
  }
  if (list) closedir(list);
  if (*folder->path) rmdir(folder->path);
  *folder->path = '\0';
}
