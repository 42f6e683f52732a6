#include "fs/tree_watch.h"

#include "fs/watched_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* How long a name may be gone until it is told: an editor removes or renames the file and writes it
   anew. */
#define HOLD_NS 50000000u

/* --- names that are gone, perhaps for a moment --- */

static void drop_gone(TreeWatch *watch, TreeWatchGone **link) {
  TreeWatchGone *gone = *link;
  *link = gone->next;
  if (watch->last_gone == &gone->next) watch->last_gone = link;
  free(gone);
}

/* The place of the name in the list: by its path, or by the cookie of a rename. */
static TreeWatchGone **find_gone(TreeWatch *watch, const char *path, uint32_t cookie) {
  for (TreeWatchGone **link = &watch->gone; *link; link = &(*link)->next)
    if (path ? strcmp((*link)->path, path) == 0 : (*link)->cookie == cookie) return link;
  return NULL;
}

static bool hold(TreeWatch *watch, const char *path, bool is_folder, uint32_t cookie) {
  if (!path_set_has(&watch->known, path, NULL) || find_gone(watch, path, 0)) return true;
  size_t n = strlen(path) + 1;
  TreeWatchGone *gone = malloc(sizeof *gone + n);
  if (!gone) return fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
  *gone = (TreeWatchGone){.due = uv_hrtime() + HOLD_NS, .cookie = cookie, .is_folder = is_folder};
  memcpy(gone->path, path, n);
  *watch->last_gone = gone;
  watch->last_gone = &gone->next;
  return true;
}

/* It is gone for good. */
static bool tell_gone(TreeWatch *watch, TreeWatchGone **link) {
  TreeWatchGone *gone = *link;
  path_set_remove(&watch->known, gone->path);
  if (gone->is_folder) watched_tree_leave(watch, gone->path);
  bool ok = watched_tree_tell(watch, TREE_WATCH_REMOVED, gone->path, NULL);
  drop_gone(watch, link);
  return ok;
}

static bool tell_overdue(TreeWatch *watch) {
  uint64_t now = uv_hrtime();
  while (watch->gone && watch->gone->due <= now)
    if (!tell_gone(watch, &watch->gone)) return false;
  if (!watch->verify_at || watch->verify_at > now) return true;
  watch->verify_at = 0;
  return watched_tree_verify(watch);
}

/* --- events of the system --- */

/* Another file has come to the path. */
static bool arrive(TreeWatch *watch, const char *path, bool is_folder) {
  TreeWatchGone **gone = find_gone(watch, path, 0);
  bool was_folder = false, is_known = path_set_has(&watch->known, path, &was_folder);
  if (gone && (is_folder || was_folder)) { /* what was in there is gone, too */
    if (!tell_gone(watch, gone)) return false;
    is_known = false;
  } else if (gone) {
    drop_gone(watch, gone);
  }
  if (!path_set_add(&watch->known, path, is_folder))
    return fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
  if (!watched_tree_tell(watch, is_known ? TREE_WATCH_CHANGED : TREE_WATCH_CREATED, path, NULL))
    return false;
  return !is_folder || !watch->recursive || watched_tree_add(watch, path, true);
}

/* A name that the scan of its folder has found already is not new. */
static bool create(TreeWatch *watch, const char *path, bool is_folder) {
  if (path_set_has(&watch->known, path, NULL) && !find_gone(watch, path, 0)) return true;
  return arrive(watch, path, is_folder);
}

static bool change(TreeWatch *watch, const char *path, bool is_folder) {
  if (!path_set_has(&watch->known, path, NULL)) return arrive(watch, path, is_folder);
  return watched_tree_tell(watch, TREE_WATCH_CHANGED, path, NULL);
}

/* The folder has another path; its watch goes with it. */
static bool move_folder(TreeWatch *watch, const char *from, const char *to) {
  for (size_t wd = 0; wd < watch->folder_count; wd++) {
    char *path = watch->folders[wd];
    if (!path || (strcmp(path, from) != 0 && !path_set_is_below(path, from))) continue;
    watch->folders[wd] = path_set_moved(path, from, to);
    free(path);
    if (!watch->folders[wd]) return false;
  }
  return path_set_move_below(&watch->known, from, to);
}

/* Both names are watched: `gone` is the old one. */
static bool rename_here(TreeWatch *watch, TreeWatchGone **gone, const char *path, bool is_folder) {
  char *from = strdup((*gone)->path);
  drop_gone(watch, gone);
  TreeWatchGone **replaced = find_gone(watch, path, 0);
  bool ok = from != NULL, was_there = path_set_has(&watch->known, path, NULL);
  if (replaced) drop_gone(watch, replaced);
  if (ok) path_set_remove(&watch->known, from);
  ok = ok && path_set_add(&watch->known, path, is_folder);
  if (ok && is_folder && watch->recursive) ok = move_folder(watch, from, path);
  if (!ok)
    fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
  else if (was_there) /* it replaces the file that was there, as editors do it */
    ok = watched_tree_tell(watch, TREE_WATCH_REMOVED, from, NULL) &&
         watched_tree_tell(watch, TREE_WATCH_CHANGED, path, NULL);
  else
    ok = watched_tree_tell(watch, TREE_WATCH_RENAMED, path, from);
  free(from);
  return ok;
}

static bool handle_named(TreeWatch *watch, const struct inotify_event *event, const char *path) {
  bool is_folder = event->mask & IN_ISDIR;
  if (event->mask & IN_MOVED_TO) {
    TreeWatchGone **gone = find_gone(watch, NULL, event->cookie);
    return gone ? rename_here(watch, gone, path, is_folder) : arrive(watch, path, is_folder);
  }
  if (event->mask & IN_CREATE) return create(watch, path, is_folder);
  if (event->mask & (IN_DELETE | IN_MOVED_FROM)) return hold(watch, path, is_folder, event->cookie);
  return change(watch, path, is_folder);
}

/* Something else has happened beside the one file. It may be a link that leads elsewhere now, by
   way of another link here. */
static bool look_behind_link(TreeWatch *watch) {
  struct stat now;
  if (stat(watch->only, &now)) return true;
  bool same = now.st_dev == watch->file.st_dev && now.st_ino == watch->file.st_ino;
  watch->file = now;
  return same || watched_tree_tell(watch, TREE_WATCH_CHANGED, watch->only, NULL);
}

static bool handle_in_folder(TreeWatch *watch, const struct inotify_event *event) {
  char *path = watched_tree_join(watch->folders[event->wd], event->name);
  if (!path) return fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
  bool ok = true;
  if (watched_tree_wants(watch, path)) {
    ok = handle_named(watch, event, path);
    if (watch->only && stat(path, &watch->file)) watch->file = (struct stat){0};
  } else if (watch->only && event->mask & (IN_CREATE | IN_MOVED_TO)) {
    ok = look_behind_link(watch);
  }
  free(path);
  return ok;
}

static void handle_guards(TreeWatch *watch, const struct inotify_event *event) {
  if (!(event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))) return;
  for (TreeWatchGuard *guard = watch->guards; guard; guard = guard->next)
    if (guard->wd == event->wd && strcmp(guard->name, event->name) == 0 && !watch->verify_at)
      watch->verify_at = uv_hrtime() + HOLD_NS;
}

static bool handle(TreeWatch *watch, const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) return watched_tree_restart(watch);
  if (event->wd < 0) return true;
  if (event->len) handle_guards(watch, event);
  if ((size_t)event->wd >= watch->folder_count || !watch->folders[event->wd]) return true;
  if (!(event->mask & IN_IGNORED)) return !event->len || handle_in_folder(watch, event);
  if (strcmp(watch->folders[event->wd], watch->root) == 0 && !watch->verify_at)
    watch->verify_at = uv_hrtime() + HOLD_NS;
  free(watch->folders[event->wd]);
  watch->folders[event->wd] = NULL;
  return true;
}

static int milliseconds_until(const TreeWatch *watch) {
  uint64_t due = watch->gone ? watch->gone->due : 0, now = uv_hrtime();
  if (watch->verify_at && (!due || watch->verify_at < due)) due = watch->verify_at;
  if (!due) return -1;
  return due <= now ? 1 : (int)((due - now) / 1000000) + 1;
}

bool tree_watch_read(TreeWatch *watch, TreeWatchEvents *events, int *next, FsFailure *failure) {
  _Alignas(struct inotify_event) char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
  watch->events = events;
  watch->failure = failure;
  for (;;) {
    ssize_t n = read(watch->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return fs_failure_set(failure, "watch", NULL);
    if (n <= 0) break;
    for (const char *at = bytes; at < bytes + n;) {
      const struct inotify_event *event = (const void *)at;
      if (fs_failure_stopped(failure, watch->stop) || !handle(watch, event)) return false;
      at += sizeof *event + event->len;
    }
  }
  if (!tell_overdue(watch)) return false;
  *next = milliseconds_until(watch);
  return true;
}

int tree_watch_fd(const TreeWatch *watch) { return watch->fd; }

/* --- life --- */

/* A file is watched by way of its folder. */
static bool split_file(TreeWatch *watch) {
  char *slash = strrchr(watch->root, '/');
  watch->only = watch->root;
  watch->root = slash
                    ? strndup(watch->only, slash == watch->only ? 1 : (size_t)(slash - watch->only))
                    : strdup("");
  return watch->root || fs_failure_set_error(watch->failure, ENOMEM, "watch", NULL);
}

TreeWatch *tree_watch_new(const char *path, bool recursive, FsStop *stop) {
  TreeWatch *watch = calloc(1, sizeof *watch);
  if (!watch) return NULL;
  watch->fd = -1;
  watch->recursive = recursive;
  watch->stop = stop;
  watch->last_gone = &watch->gone;
  watch->root = strdup(path);
  if (watch->root) {
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) watch->root[--n] = '\0';
    return watch;
  }
  free(watch);
  return NULL;
}

bool tree_watch_start(TreeWatch *watch, FsFailure *failure) {
  struct stat about;
  watch->failure = failure;
  if (stat(watch->root, &about)) return fs_failure_set(failure, "watch", NULL);
  if (!S_ISDIR(about.st_mode)) {
    if (!split_file(watch)) return false;
    if (!watched_tree_stat(watch, &about)) return fs_failure_set(failure, "watch", NULL);
  }
  watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch->fd < 0) return fs_failure_set(failure, "watch", NULL);
  return watched_tree_begin(watch, &about);
}

void tree_watch_free(TreeWatch *watch) {
  if (!watch) return;
  if (watch->fd >= 0) close(watch->fd);
  watched_tree_end(watch);
  free(watch->root);
  free(watch->only);
  free(watch);
}
