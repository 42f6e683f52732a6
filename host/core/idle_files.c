#include "core/idle_files.h"

#include "core/observe.h"
#include <errno.h>
#include <unistd.h>

enum { TRIES = 20 }; /* each after all others that wait for a thread */

void idle_files_add(Runtime *rt, IdleFile *file) {
  IdleFiles *files = &rt->idle_files;
  if (file->fd < 0 || file->link) return;
  file->next = NULL;
  file->link = files->first ? files->end : &files->first;
  *file->link = file;
  files->end = &file->next;
}

void idle_files_remove(Runtime *rt, IdleFile *file) {
  if (!file->link) return;
  *file->link = file->next;
  if (file->next)
    file->next->link = file->link;
  else
    rt->idle_files.end = file->link;
  file->link = NULL;
}

unsigned idle_files_close(Runtime *rt, unsigned n) {
  unsigned closed = 0;
  for (IdleFile *file; closed < n && (file = rt->idle_files.first); closed++) {
    idle_files_remove(rt, file);
    if (close(file->fd) && errno != EINTR) file->error = errno;
    file->fd = -1;
  }
  return closed;
}

static bool is_lack(int error) { return error == UV_EMFILE || error == UV_ENFILE; }

bool idle_files_make_room(Runtime *rt, int error, unsigned *tries) {
  if (!is_lack(error) || ++*tries > TRIES) return false;
  idle_files_close(rt, 1);
  return true;
}

bool idle_files_lack(Runtime *rt, int error) {
  ReportCount *lacks = &rt->idle_files.lacks;
  if (!is_lack(error)) return false;
  observe_limited(rt, "descriptors");
  if (!report_counts(lacks)) return true;
  report_sayf(rt, LOG_WARN,
              "no descriptors are left (ulimit -n): a file could not be opened for a client; "
              "%llu times so far",
              lacks->n);
  return true;
}
