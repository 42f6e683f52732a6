/* A set of paths, each with a mark. Not for several threads at once. */
#ifndef ML_PATH_SET_H
#define ML_PATH_SET_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty set. A slot is free where its path is NULL. */
typedef struct PathSet {
  struct PathSlot {
    char *path;
    bool mark;
  } * slots;
  size_t count, size; /* a power of two */
} PathSet;

/* Adds the path, or sets the mark of one that is there. False if memory is out. */
bool path_set_add(PathSet *set, const char *path, bool mark);

/* Is it there? Then `mark`, if not NULL, gets its mark. */
bool path_set_has(const PathSet *set, const char *path, bool *mark);

void path_set_remove(PathSet *set, const char *path);

/* Removes all that begins with `folder` and a slash. */
void path_set_remove_below(PathSet *set, const char *folder);

/* The folder `from` is called `to` now: renames all that begins with it and a slash. False if
   memory is out. */
bool path_set_move_below(PathSet *set, const char *from, const char *to);

void path_set_free(PathSet *set);

/* Is the path below the folder? */
bool path_set_is_below(const char *path, const char *folder);

/* Returns the path with `to` in place of `from`, which it begins with; to be freed; NULL: no
 * memory. */
char *path_set_moved(const char *path, const char *from, const char *to);

#endif
