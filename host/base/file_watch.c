#include "base/file_watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QUIET_MS 100 /* an editor, or a checkout, may write several files in a row */

typedef struct WatchedFile {
  struct WatchedFile *next;
  FileSignature signature;
  char path[];
} WatchedFile;

/* Folders are watched, not files: a file that is replaced is another file. */
typedef struct WatchedFolder {
  uv_fs_event_t events;
  FileWatch *watch;
  struct WatchedFolder *next;
  WatchedFile *files;
  ino_t inode;
  size_t path_len;
  char path[];
} WatchedFolder;

bool file_watch_signature(const char *path, FileSignature *signature) {
  struct stat about;
  if (stat(path, &about)) return false;
  snprintf(signature->text, sizeof signature->text, "%jx:%jx:%jx:%jx.%lx", (uintmax_t)about.st_dev,
           (uintmax_t)about.st_ino, (uintmax_t)about.st_size, (uintmax_t)about.st_mtim.tv_sec,
           about.st_mtim.tv_nsec);
  return true;
}

static const char *name_in(const char *path) { return strrchr(path, '/') + 1; }

/* Has the file changed since the last check? A file that is missing for a moment has not. */
static bool has_changed(WatchedFile *file) {
  FileSignature now;
  if (!file_watch_signature(file->path, &now) || strcmp(now.text, file->signature.text) == 0)
    return false;
  file->signature = now;
  return true;
}

static void on_quiet(uv_timer_t *quiet) {
  FileWatch *watch = quiet->data;
  const char *changed = NULL;
  for (WatchedFolder *folder = watch->folders; folder; folder = folder->next)
    for (WatchedFile *file = folder->files; file; file = file->next)
      if (has_changed(file)) changed = file->path;
  if (changed) watch->changed(watch, changed);
}

static void wait_for_quiet(FileWatch *watch) {
  uv_timer_start(&watch->quiet, on_quiet, QUIET_MS, 0);
}

static void on_event(uv_fs_event_t *events, const char *name, int what, int status) {
  WatchedFolder *folder = events->data;
  (void)what;
  (void)status;
  for (WatchedFile *file = folder->files; file; file = file->next) {
    if (name && strcmp(name, name_in(file->path)) != 0) continue;
    wait_for_quiet(folder->watch);
    return;
  }
}

/* Starts to watch, or restarts if the folder has been replaced. */
static int watch_folder(WatchedFolder *folder) {
  struct stat about;
  if (stat(folder->path, &about)) return uv_translate_sys_error(errno);
  if (folder->inode == about.st_ino) return 0;
  folder->inode = about.st_ino;
  uv_fs_event_stop(&folder->events);
  return uv_fs_event_start(&folder->events, on_event, folder->path, 0);
}

static bool has_room(const FileWatch *watch) { return watch->n < FILE_WATCH_MAX; }

static int failure_of(const FileWatch *watch) { return has_room(watch) ? UV_ENOMEM : UV_ENOSPC; }

static WatchedFolder *find_folder(FileWatch *watch, const char *path) {
  size_t len = (size_t)(name_in(path) - path);
  for (WatchedFolder *folder = watch->folders; folder; folder = folder->next)
    if (folder->path_len == len && memcmp(folder->path, path, len) == 0) return folder;
  WatchedFolder *folder = has_room(watch) ? calloc(1, sizeof *folder + len + 1) : NULL;
  if (!folder) return NULL;
  if (uv_fs_event_init(watch->loop, &folder->events)) {
    free(folder);
    return NULL;
  }
  folder->events.data = folder;
  folder->watch = watch;
  folder->path_len = len;
  memcpy(folder->path, path, len);
  folder->next = watch->folders;
  watch->folders = folder;
  watch->n++;
  return folder;
}

int file_watch_open(FileWatch *watch, uv_loop_t *loop) {
  watch->loop = loop;
  watch->quiet.data = watch;
  return uv_timer_init(loop, &watch->quiet);
}

int file_watch_add(FileWatch *watch, const char *path, const FileSignature *known) {
  FileSignature now;
  WatchedFolder *folder = find_folder(watch, path);
  if (!folder) return failure_of(watch);
  int rc = watch_folder(folder);
  if (rc) return rc;
  for (WatchedFile *file = folder->files; file; file = file->next)
    if (strcmp(file->path, path) == 0) return 0;
  WatchedFile *file = has_room(watch) ? calloc(1, sizeof *file + strlen(path) + 1) : NULL;
  if (!file) return failure_of(watch);
  watch->n++;
  strcpy(file->path, path);
  file->signature = *known;
  file->next = folder->files;
  folder->files = file;
  if (!file_watch_signature(path, &now) || strcmp(now.text, known->text) != 0)
    wait_for_quiet(watch);
  return 0;
}

static void on_folder_closed(uv_handle_t *handle) {
  WatchedFolder *folder = handle->data;
  for (WatchedFile *file; (file = folder->files);) {
    folder->files = file->next;
    free(file);
  }
  free(folder);
}

void file_watch_close(FileWatch *watch) {
  uv_close((uv_handle_t *)&watch->quiet, NULL);
  for (WatchedFolder *folder = watch->folders, *next; folder; folder = next) {
    next = folder->next;
    uv_close((uv_handle_t *)&folder->events, on_folder_closed);
  }
  watch->folders = NULL;
}
