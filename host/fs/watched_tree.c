#include "fs/watched_tree.h"

#include "fs/folder_list.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define NAMES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define CONTENT (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

static bool no_memory(TreeWatch *watch) {
  return fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
}

char *watched_tree_join(const char *folder, const char *name) {
  size_t n = strlen(folder), rest = strlen(name) + 1;
  bool needs_slash = n && folder[n - 1] != '/';
  char *path = malloc(n + needs_slash + rest);
  if (!path) return NULL;
  memcpy(path, folder, n);
  if (needs_slash) path[n] = '/';
  memcpy(path + n + needs_slash, name, rest);
  return path;
}

bool watched_tree_wants(const TreeWatch *watch, const char *path) {
  return !watch->only || strcmp(watch->only, path) == 0;
}

bool watched_tree_tell(TreeWatch *watch, TreeWatchKind kind, const char *path, const char *from) {
  TreeWatchEvents *events = watch->events;
  TreeWatchEvent *last = events->last;
  if (kind == TREE_WATCH_CHANGED && last && last->kind == kind && strcmp(last->path, path) == 0)
    return true; /* each piece that is written is a change */
  size_t n = strlen(path) + 1, old = from ? strlen(from) + 1 : 0;
  TreeWatchEvent *event = malloc(sizeof *event + n + old);
  if (!event) return fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
  *event = (TreeWatchEvent){.kind = kind};
  memcpy(event->path, path, n);
  if (from) event->from = memcpy(event->path + n, from, old);
  if (last)
    last->next = event;
  else
    events->first = event;
  events->last = event;
  events->count++;
  return true;
}

/* --- the tree --- */

static bool note_folder(TreeWatch *watch, int wd, const char *path) {
  if ((size_t)wd >= watch->folder_count) {
    size_t count = (size_t)wd < 32 ? 64 : 2 * (size_t)wd;
    char **more = realloc(watch->folders, count * sizeof *more);
    if (!more) return no_memory(watch);
    memset(more + watch->folder_count, 0, (count - watch->folder_count) * sizeof *more);
    watch->folders = more;
    watch->folder_count = count;
  }
  free(watch->folders[wd]);
  watch->folders[wd] = strdup(path);
  return watch->folders[wd] || no_memory(watch);
}

static bool add_entry(TreeWatch *watch, const char *path, bool is_folder, bool tell) {
  bool is_new = !path_set_has(&watch->known, path, NULL);
  if (!watched_tree_wants(watch, path)) return true;
  if (is_new) {
    if (!path_set_add(&watch->known, path, is_folder)) return no_memory(watch);
    if (tell && !watched_tree_tell(watch, TREE_WATCH_CREATED, path, NULL)) return false;
  }
  return !is_folder || !watch->recursive || watched_tree_add(watch, path, tell);
}

static bool add_entries(TreeWatch *watch, const char *folder, const Buffer *entries, bool tell) {
  bool ok = true;
  for (const char *at = entries->data, *end = at + entries->len; ok && at < end;
       at += strlen(at) + 1) {
    char *path = watched_tree_join(folder, at + 1);
    ok = path ? add_entry(watch, path, *at == 'd', tell) : no_memory(watch);
    free(path);
  }
  return ok;
}

/* Gone, or not ours to see. */
static bool is_passed_over(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP;
}

bool watched_tree_add(TreeWatch *watch, const char *path, bool tell) {
  bool is_root = strcmp(path, watch->root) == 0;
  uint32_t mask = NAMES | CONTENT | IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD;
  if (fs_failure_stopped(watch->failure, watch->stop)) return false;
  int wd = inotify_add_watch(watch->fd, *path ? path : ".", is_root ? mask : mask | IN_DONT_FOLLOW);
  if (wd < 0 && !is_root && is_passed_over(errno)) return true;
  if (wd < 0) return fs_failure_set(watch->failure, "watch", path);
  if (!note_folder(watch, wd, path)) return false;
  Buffer entries = {0};
  FsFailure failure = {0};
  bool ok = folder_list_read(*path ? path : ".", watch->stop, &entries, &failure);
  if (!ok && !is_root && is_passed_over(failure.error))
    ok = true;
  else if (!ok)
    fs_failure_set_error(watch->failure, failure.error, failure.call, path);
  else
    ok = add_entries(watch, path, &entries, tell);
  free(failure.path);
  buffer_free(&entries);
  return ok;
}

void watched_tree_leave(TreeWatch *watch, const char *path) {
  for (size_t wd = 0; wd < watch->folder_count; wd++) {
    char *folder = watch->folders[wd];
    if (!folder || (strcmp(folder, path) != 0 && !path_set_is_below(folder, path))) continue;
    inotify_rm_watch(watch->fd, (int)wd);
    free(folder);
    watch->folders[wd] = NULL;
  }
  path_set_remove_below(&watch->known, path);
}

/* --- what leads to it --- */

static void drop_guards(TreeWatch *watch) {
  for (TreeWatchGuard *guard; (guard = watch->guards);) {
    watch->guards = guard->next;
    free(guard);
  }
}

static bool add_guard(TreeWatch *watch, const char *folder, const char *name, size_t n) {
  int wd = inotify_add_watch(watch->fd, folder, NAMES | IN_ONLYDIR | IN_MASK_ADD);
  if (wd < 0) return true; /* not there, or not ours to see: what is before it is watched */
  TreeWatchGuard *guard = malloc(sizeof *guard + n + 1);
  if (!guard) return no_memory(watch);
  *guard = (TreeWatchGuard){.next = watch->guards, .wd = wd};
  memcpy(guard->name, name, n);
  guard->name[n] = '\0';
  watch->guards = guard;
  return true;
}

/* A guard for each name in the path of the root. The watches of before stay: one that is not needed
   costs little. */
static bool add_guards(TreeWatch *watch) {
  bool ok = true;
  drop_guards(watch);
  for (const char *name = watch->root; ok && *(name += strspn(name, "/"));) {
    size_t n = strcspn(name, "/"), before = (size_t)(name - watch->root);
    if (strspn(name, ".") < n || n > 2) { /* neither "." nor ".." */
      char *folder = before ? strndup(watch->root, before) : strdup(".");
      ok = folder ? add_guard(watch, folder, name, n) : no_memory(watch);
      free(folder);
    }
    name += n;
  }
  return ok;
}

/* --- the root --- */

static void drop_gone(TreeWatch *watch) {
  for (TreeWatchGone *gone; (gone = watch->gone);) {
    watch->gone = gone->next;
    free(gone);
  }
  watch->last_gone = &watch->gone;
}

static void forget_tree(TreeWatch *watch) {
  for (size_t wd = 0; wd < watch->folder_count; wd++) {
    if (!watch->folders[wd]) continue;
    inotify_rm_watch(watch->fd, (int)wd);
    free(watch->folders[wd]);
    watch->folders[wd] = NULL;
  }
  drop_gone(watch);
}

/* Watches the root as it is now. */
static bool scan(TreeWatch *watch, const struct stat *about) {
  watch->about = *about;
  watch->present = true;
  if (watch->only && stat(watch->only, &watch->file)) watch->file = (struct stat){0};
  return watched_tree_add(watch, watch->root, false);
}

/* Tells how what is there differs from what was there. */
static bool tell_difference(TreeWatch *watch, const PathSet *before) {
  bool ok = true;
  for (size_t i = 0; ok && i < before->size; i++) {
    const char *path = before->slots[i].path;
    if (path && !path_set_has(&watch->known, path, NULL))
      ok = watched_tree_tell(watch, TREE_WATCH_REMOVED, path, NULL);
  }
  for (size_t i = 0; ok && i < watch->known.size; i++) {
    const char *path = watch->known.slots[i].path;
    if (path && !path_set_has(before, path, NULL))
      ok = watched_tree_tell(watch, TREE_WATCH_CREATED, path, NULL);
    else if (path && watch->only)
      ok = watched_tree_tell(watch, TREE_WATCH_CHANGED, path, NULL);
  }
  return ok;
}

/* The root is another than before, or is back. */
static bool replace_root(TreeWatch *watch, const struct stat *about) {
  PathSet before = watch->known;
  bool was_present = watch->present;
  watch->known = (PathSet){0};
  forget_tree(watch);
  bool ok = add_guards(watch) && scan(watch, about);
  if (ok && !watch->only)
    ok = watched_tree_tell(watch, was_present ? TREE_WATCH_CHANGED : TREE_WATCH_CREATED,
                           watch->root, NULL);
  ok = ok && tell_difference(watch, &before);
  path_set_free(&before);
  return ok;
}

static bool lose_root(TreeWatch *watch) {
  PathSet before = watch->known;
  bool was_present = watch->present;
  watch->known = (PathSet){0};
  watch->present = false;
  forget_tree(watch);
  bool ok = add_guards(watch);
  if (ok && watch->only)
    ok = tell_difference(watch, &before);
  else if (ok && was_present)
    ok = watched_tree_tell(watch, TREE_WATCH_REMOVED, watch->root, NULL);
  path_set_free(&before);
  return ok;
}

bool watched_tree_stat(const TreeWatch *watch, struct stat *about) {
  return stat(*watch->root ? watch->root : ".", about) == 0 && S_ISDIR(about->st_mode);
}

bool watched_tree_verify(TreeWatch *watch) {
  struct stat now;
  /* First the guards: what comes after them is told by them. */
  if (!add_guards(watch)) return false;
  if (!watched_tree_stat(watch, &now)) return !watch->present || lose_root(watch);
  if (watch->present && now.st_dev == watch->about.st_dev && now.st_ino == watch->about.st_ino)
    return true;
  return replace_root(watch, &now);
}

bool watched_tree_restart(TreeWatch *watch) {
  struct stat now;
  if (!watched_tree_tell(watch, TREE_WATCH_OVERFLOW, watch->only ? watch->only : watch->root, NULL))
    return false;
  forget_tree(watch);
  path_set_free(&watch->known);
  if (!add_guards(watch)) return false;
  watch->present = false;
  return !watched_tree_stat(watch, &now) || scan(watch, &now);
}

bool watched_tree_begin(TreeWatch *watch, const struct stat *about) {
  return add_guards(watch) && scan(watch, about);
}

void watched_tree_end(TreeWatch *watch) {
  drop_guards(watch);
  drop_gone(watch);
  for (size_t wd = 0; wd < watch->folder_count; wd++) free(watch->folders[wd]);
  free(watch->folders);
  path_set_free(&watch->known);
}
