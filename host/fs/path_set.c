#include "fs/path_set.h"

#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

static size_t hash_of(const char *path) {
  uint64_t hash = hash_bytes(HASH_START, path, strlen(path));
  return (size_t)(hash ^ (hash >> 32));
}

/* The slot of the path, or the free one where it would be. */
static struct PathSlot *find(const PathSet *set, const char *path) {
  size_t i = hash_of(path);
  for (;; i++) {
    struct PathSlot *slot = &set->slots[i & (set->size - 1)];
    if (!slot->path || strcmp(slot->path, path) == 0) return slot;
  }
}

static bool grow(PathSet *set) {
  if (set->size && set->count < set->size / 2) return true;
  PathSet larger = {.size = set->size ? 2 * set->size : FIRST_SIZE, .count = set->count};
  larger.slots = calloc(larger.size, sizeof *larger.slots);
  if (!larger.slots) return false;
  for (size_t i = 0; i < set->size; i++)
    if (set->slots[i].path) *find(&larger, set->slots[i].path) = set->slots[i];
  free(set->slots);
  *set = larger;
  return true;
}

bool path_set_add(PathSet *set, const char *path, bool mark) {
  if (!grow(set)) return false;
  struct PathSlot *slot = find(set, path);
  if (!slot->path) {
    slot->path = strdup(path);
    if (!slot->path) return false;
    set->count++;
  }
  slot->mark = mark;
  return true;
}

bool path_set_has(const PathSet *set, const char *path, bool *mark) {
  if (!set->size) return false;
  const struct PathSlot *slot = find(set, path);
  if (slot->path && mark) *mark = slot->mark;
  return slot->path != NULL;
}

/* Moves up those behind it that would no longer be found. */
static void remove_slot(PathSet *set, size_t i) {
  size_t last = set->size - 1;
  free(set->slots[i].path);
  for (size_t j = (i + 1) & last; set->slots[j].path; j = (j + 1) & last) {
    size_t home = hash_of(set->slots[j].path) & last;
    if (((j - home) & last) < ((j - i) & last)) continue;
    set->slots[i] = set->slots[j];
    i = j;
  }
  set->slots[i] = (struct PathSlot){0};
  set->count--;
}

void path_set_remove(PathSet *set, const char *path) {
  if (!set->size) return;
  struct PathSlot *slot = find(set, path);
  if (slot->path) remove_slot(set, (size_t)(slot - set->slots));
}

bool path_set_is_below(const char *path, const char *folder) {
  size_t n = strlen(folder);
  return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* Takes out all below the folder: those that are moved up into a slot are looked at, too, and so
   are those that were moved over the end. */
static void take_below(PathSet *set, const char *folder, PathSet *into) {
  for (size_t i = 0; i < set->size;) {
    struct PathSlot *slot = &set->slots[i];
    if (!slot->path || !path_set_is_below(slot->path, folder)) {
      i++;
      continue;
    }
    if (into) path_set_add(into, slot->path, slot->mark);
    remove_slot(set, i);
  }
}

void path_set_remove_below(PathSet *set, const char *folder) { take_below(set, folder, NULL); }

char *path_set_moved(const char *path, const char *from, const char *to) {
  size_t old = strlen(from), new = strlen(to), rest = strlen(path) - old;
  char *moved = malloc(new + rest + 1);
  if (!moved) return NULL;
  memcpy(moved, to, new);
  memcpy(moved + new, path + old, rest + 1);
  return moved;
}

bool path_set_move_below(PathSet *set, const char *from, const char *to) {
  PathSet taken = {0};
  bool ok = true;
  take_below(set, from, &taken);
  for (size_t i = 0; i < taken.size; i++) {
    if (!taken.slots[i].path) continue;
    char *moved = path_set_moved(taken.slots[i].path, from, to);
    ok = moved && path_set_add(set, moved, taken.slots[i].mark) && ok;
    free(moved);
  }
  path_set_free(&taken);
  return ok;
}

void path_set_free(PathSet *set) {
  for (size_t i = 0; i < set->size; i++) free(set->slots[i].path);
  free(set->slots);
  *set = (PathSet){0};
}
