/* Watches files for changes of their content, however an editor replaces them: in place, or with
   another file that gets the name. */
#ifndef ML_FILE_WATCH_H
#define ML_FILE_WATCH_H

#include <uv.h>

typedef struct FileWatch FileWatch;

/* The caller sets `changed` and keeps the memory until file_watch_close has been called and the
   loop has run. */
struct FileWatch {
  /* One of the files has changed, `path` perhaps with others, and nothing has for a tenth of a
     second. */
  void (*changed)(FileWatch *watch, const char *path);
  uv_loop_t *loop;
  uv_timer_t quiet; /* since the last event */
  struct WatchedFolder *folders;
};

/* Returns 0 or a libuv error. */
int file_watch_open(FileWatch *watch, uv_loop_t *loop);

/* Watches the file at `path`, absolute, too. Returns 0 or a libuv error. */
int file_watch_add(FileWatch *watch, const char *path);

void file_watch_close(FileWatch *watch);

#endif
