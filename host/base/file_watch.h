/* Watches files for changes of their content, whether an editor writes them in place or replaces
   them with another file of that name. */
#ifndef ML_FILE_WATCH_H
#define ML_FILE_WATCH_H

#include <stdbool.h>
#include <uv.h>

enum { FILE_WATCH_MAX = 20000 }; /* files and folders */

/* A word that differs if a file was replaced or written to. */
typedef struct FileSignature {
  char text[96];
} FileSignature;

typedef struct FileWatch FileWatch;

/* The caller sets `changed` and keeps the memory until file_watch_close has been called and the
   loop has run. */
struct FileWatch {
  /* `path`, and possibly others, has changed, and nothing has changed since for a tenth of a
     second. */
  void (*changed)(FileWatch *watch, const char *path);
  uv_loop_t *loop;
  uv_timer_t quiet; /* since the last event */
  struct WatchedFolder *folders;
  unsigned n; /* of them, and of their files */
};

/* Returns 0 or a libuv error. */
int file_watch_open(FileWatch *watch, uv_loop_t *loop);

/* Gets the signature of the file at `path`. False if there is no such file (errno). */
bool file_watch_signature(const char *path, FileSignature *signature);

/* Also watches the file at the absolute `path`; `known` is its signature when it was read. Returns
   0 or a libuv error: UV_ENOSPC where there are too many. */
int file_watch_add(FileWatch *watch, const char *path, const FileSignature *known);

/* Stops watching, and closes its handles. */
void file_watch_close(FileWatch *watch);

#endif
