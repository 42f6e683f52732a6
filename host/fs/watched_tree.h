/* The inside of a TreeWatch: which folders are watched, those of the tree and those that lead to
   it, and what is known to be there. */
#ifndef ML_WATCHED_TREE_H
#define ML_WATCHED_TREE_H

#include "fs/path_set.h"
#include "fs/tree_watch.h"

#include <sys/stat.h>

/* A name that is gone; perhaps only until the new file gets it, or until the other half of a rename
   is read. */
typedef struct TreeWatchGone {
  struct TreeWatchGone *next;
  uint64_t due; /* ns: then it is gone for good */
  uint32_t cookie;
  bool is_folder;
  char path[];
} TreeWatchGone;

/* A folder on the way to the root, and the name in it that leads on. */
typedef struct TreeWatchGuard {
  struct TreeWatchGuard *next;
  int wd;
  char name[];
} TreeWatchGuard;

struct TreeWatch {
  int fd;
  bool recursive;
  bool present; /* the root is there, and is watched */
  char *root;   /* the folder that is watched; "" for the present one, as it leads to names alone */
  char *only;   /* the path of the file, if one file is watched; or NULL */
  struct stat about; /* of the root */
  struct stat file;  /* of what `only` leads to */
  char **folders;    /* paths by watch descriptor, or NULL */
  size_t folder_count;
  PathSet known; /* what is there; the mark is that of folders */
  TreeWatchGone *gone, **last_gone;
  TreeWatchGuard *guards;
  uint64_t verify_at; /* ns: then see whether the root is still the same; 0: no need */
  FsStop *stop;
  TreeWatchEvents *events; /* those being collected */
  FsFailure *failure;
};

/* Adds an event. False: memory is out. */
bool watched_tree_tell(TreeWatch *watch, TreeWatchKind kind, const char *path, const char *from);

/* Watches the folder and finds what is in it, and with `recursive` what is below; tells what is new
   if `tell`. One that is gone by now is left out. */
bool watched_tree_add(TreeWatch *watch, const char *path, bool tell);

/* Finds out whether the root is still the same, and watches what is there now. */
bool watched_tree_verify(TreeWatch *watch);

/* Watches all again, after some events were lost. */
bool watched_tree_restart(TreeWatch *watch);

/* Watches the root, a folder of which `about` tells, for the first time. */
bool watched_tree_begin(TreeWatch *watch, const struct stat *about);

/* Is the root there, and a folder? */
bool watched_tree_stat(const TreeWatch *watch, struct stat *about);

/* Frees all that has come together since the beginning. */
void watched_tree_end(TreeWatch *watch);

/* Stops watching what is below the folder, and the folder itself. */
void watched_tree_leave(TreeWatch *watch, const char *path);

/* The path of a name in a folder, to be freed; or NULL. */
char *watched_tree_join(const char *folder, const char *name);

/* Is the path of interest? */
bool watched_tree_wants(const TreeWatch *watch, const char *path);

#endif
