/* Changes of what is at a path, by inotify. Folders are watched, not files: a file that an editor
   replaces is the same to whoever watches its name. The folders that lead to the path are watched
   as well, so that it may be replaced itself, or be gone for a while. No loop, and no locks: its
   functions look folders up, so they are called on a thread of the pool, one at a time. */
#ifndef ML_TREE_WATCH_H
#define ML_TREE_WATCH_H

#include "fs/fs_failure.h"

#include <stddef.h>
#include <stdint.h>

typedef enum TreeWatchKind {
  TREE_WATCH_CREATED,
  TREE_WATCH_CHANGED,
  TREE_WATCH_REMOVED,
  TREE_WATCH_RENAMED,
  TREE_WATCH_OVERFLOW, /* some are lost: anything may have happened */
} TreeWatchKind;

typedef struct TreeWatchEvent {
  struct TreeWatchEvent *next;
  TreeWatchKind kind;
  char *from;  /* the old path of one that was renamed, or NULL: in `path` */
  char path[]; /* begins with the path that is watched */
} TreeWatchEvent;

/* A list; its owner frees each event. */
typedef struct TreeWatchEvents {
  TreeWatchEvent *first, *last;
  size_t count;
} TreeWatchEvents;

typedef struct TreeWatch TreeWatch;

/* NULL if memory is out. */
TreeWatch *tree_watch_new(const char *path, bool recursive, FsStop *stop);

/* Begins: from now on, every change is told. */
bool tree_watch_start(TreeWatch *watch, FsFailure *failure);

/* The descriptor that can be read when something has happened. */
int tree_watch_fd(const TreeWatch *watch);

/* Adds what has happened to the list. Then *next is the number of milliseconds after which to call
   again even if the descriptor cannot be read: something may be about to come back. -1: never. */
bool tree_watch_read(TreeWatch *watch, TreeWatchEvents *events, int *next, FsFailure *failure);

void tree_watch_free(TreeWatch *watch);

#endif
