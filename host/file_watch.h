/* Watches files for changes of their content, however an editor replaces them: in place, or with
   another file that gets the name. */
#ifndef ML_FILE_WATCH_H
#define ML_FILE_WATCH_H

#include <stdbool.h>
#include <uv.h>

/* What differs when a file is another one, or has been written to: a word. */
typedef struct FileSignature {
  char text[96];
} FileSignature;

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

/* The signature of the file at `path`. False: there is none (errno). */
bool file_signature(const char *path, FileSignature *signature);

/* Watches the file at `path`, absolute, too; `known` is its signature when it was read. Returns 0
   or a libuv error. */
int file_watch_add(FileWatch *watch, const char *path, const FileSignature *known);

/* Watches nothing any more, and closes its handles. */
void file_watch_close(FileWatch *watch);

#endif
