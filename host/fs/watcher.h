/* A TreeWatch on a loop: each time something has happened, a thread of the pool looks what it was.
 */
#ifndef ML_WATCHER_H
#define ML_WATCHER_H

#include "core/task.h"
#include "fs/tree_watch.h"

#include <uv.h>

/* Those of a runtime, in zeroed memory that lives until it closes. */
typedef struct Watchers {
  CloseHook close_hook;
  struct Watcher *first;
} Watchers;

typedef struct Watcher {
  struct Watcher *next, **place; /* in the list of the runtime */
  Runtime *rt;
  TreeWatch *tree; /* a thread's while `busy` */
  uv_work_t work;
  uv_poll_t poll;
  uv_timer_t timer;
  int handles; /* open ones */
  bool busy;
  bool closing;
  bool released; /* its owner has no more use for it */
  bool failed;   /* `failure` says why: nothing more is told */
  bool waiting;  /* `waker` waits for the start, or for an event */
  atomic_bool stop;
  Waker waker;
  TreeWatchEvents events; /* for the owner to take */
  FsFailure failure;
  /* The thread's while `busy`. */
  TreeWatchEvents found;
  int again;      /* ms until it wants to look again, or -1 */
  bool succeeded; /* in what it has done last */
} Watcher;

/* Closes all watchers of the runtime when that closes. */
void watcher_open_all(Watchers *all, Runtime *rt);

/* Begins to watch the path; `waker` is woken when it has begun or failed. NULL if memory is out. */
Watcher *watcher_new(Watchers *all, Runtime *rt, const char *path, bool recursive, Waker waker);

/* Takes the first event, to be freed, or returns NULL. */
TreeWatchEvent *watcher_take(Watcher *watcher);

/* Stops watching; whoever waits is woken. May be called again. */
void watcher_close(Watcher *watcher);

/* Closes it, and frees it when its handles are closed. */
void watcher_release(Watcher *watcher);

#endif
