#include "fs/watcher.h"

#include "base/container_of.h"

#include <stdlib.h>
#include <string.h>

/* Events that nobody has taken yet. Beyond this many the system keeps them, and says if those are
   too many. */
enum { MOST = 4096 };

static void look(Watcher *w);

static void wake(Watcher *w) {
  if (!w->waiting) return;
  w->waiting = false;
  ml_wait_wake(w->waker);
}

static void free_events(TreeWatchEvents *events) {
  for (TreeWatchEvent *event; (event = events->first);) {
    events->first = event->next;
    free(event);
  }
  *events = (TreeWatchEvents){0};
}

/* --- the end --- */

static void end_on_thread(uv_work_t *work) {
  Watcher *w = container_of(work, Watcher, work);
  tree_watch_free(w->tree); /* closing inotify takes milliseconds */
}

static void go_on_closing(Watcher *w);

static void on_end(uv_work_t *work, int status) {
  Watcher *w = container_of(work, Watcher, work);
  if (status) tree_watch_free(w->tree);
  w->tree = NULL;
  w->busy = false;
  go_on_closing(w);
}

/* First the handles, which use the tree's descriptor; then the tree; then the memory. */
static void go_on_closing(Watcher *w) {
  if (!w->closing || w->busy || w->handles) return;
  if (w->tree) {
    w->busy = true;
    if (uv_queue_work(&w->rt->loop, &w->work, end_on_thread, on_end)) on_end(&w->work, UV_ENOMEM);
    return;
  }
  if (!w->released) return;
  free_events(&w->events);
  free_events(&w->found);
  free(w->failure.path);
  free(w);
}

static void on_handle_closed(uv_handle_t *handle) {
  Watcher *w = handle->data;
  w->handles--;
  go_on_closing(w);
}

void watcher_close(Watcher *w) {
  if (w->closing) return;
  w->closing = true;
  atomic_store(&w->stop, true);
  *w->place = w->next;
  if (w->next) w->next->place = w->place;
  wake(w);
  if (w->handles) {
    uv_close((uv_handle_t *)&w->poll, on_handle_closed);
    uv_close((uv_handle_t *)&w->timer, on_handle_closed);
  }
  go_on_closing(w);
}

void watcher_release(Watcher *w) {
  watcher_close(w);
  w->released = true;
  go_on_closing(w);
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Watchers *all = container_of(hook, Watchers, close_hook);
  while (all->first) watcher_close(all->first);
}

void watcher_open_all(Watchers *all, Runtime *rt) {
  all->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &all->close_hook);
}

/* --- looking --- */

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  look(poll->data);
}

static void on_timer(uv_timer_t *timer) { look(timer->data); }

/* Waits for the next event, unless there are too many already. */
static void wait_for_more(Watcher *w) {
  if (w->events.count < MOST) uv_poll_start(&w->poll, UV_READABLE, on_readable);
  if (w->again >= 0) uv_timer_start(&w->timer, on_timer, (uint64_t)w->again, 0);
}

static void look_on_thread(uv_work_t *work) {
  Watcher *w = container_of(work, Watcher, work);
  w->succeeded = tree_watch_read(w->tree, &w->found, &w->again, &w->failure);
}

static void take_found(Watcher *w) {
  if (!w->found.first) return;
  if (w->events.last)
    w->events.last->next = w->found.first;
  else
    w->events.first = w->found.first;
  w->events.last = w->found.last;
  w->events.count += w->found.count;
  w->found = (TreeWatchEvents){0};
}

static void on_looked(uv_work_t *work, int status) {
  Watcher *w = container_of(work, Watcher, work);
  w->busy = false;
  w->failed = status || !w->succeeded;
  take_found(w);
  if (w->closing)
    go_on_closing(w);
  else if (!w->failed)
    wait_for_more(w);
  if (w->events.first || w->failed) wake(w);
}

static void look(Watcher *w) {
  if (w->busy) return;
  w->busy = true;
  uv_poll_stop(&w->poll);
  uv_timer_stop(&w->timer);
  w->again = -1;
  if (uv_queue_work(&w->rt->loop, &w->work, look_on_thread, on_looked))
    on_looked(&w->work, UV_ENOMEM);
}

TreeWatchEvent *watcher_take(Watcher *w) {
  TreeWatchEvent *event = w->events.first;
  if (!event) return NULL;
  w->events.first = event->next;
  if (!event->next) w->events.last = NULL;
  if (--w->events.count == MOST / 2 && w->handles && !w->closing && !w->busy && !w->failed)
    wait_for_more(w);
  return event;
}

/* --- the start --- */

static void start_on_thread(uv_work_t *work) {
  Watcher *w = container_of(work, Watcher, work);
  w->succeeded = tree_watch_start(w->tree, &w->failure);
}

static void on_started(uv_work_t *work, int status) {
  Watcher *w = container_of(work, Watcher, work);
  w->busy = false;
  if (status) w->succeeded = false;
  if (w->closing) {
    go_on_closing(w);
    return;
  }
  int rc = w->succeeded ? uv_poll_init(&w->rt->loop, &w->poll, tree_watch_fd(w->tree)) : 0;
  w->failed = !w->succeeded || rc;
  if (rc) fs_failure_set_error(&w->failure, -rc, "watch", NULL);
  if (!w->failed) {
    uv_timer_init(&w->rt->loop, &w->timer);
    w->poll.data = w->timer.data = w;
    w->handles = 2;
    wait_for_more(w);
  }
  wake(w);
}

Watcher *watcher_new(Watchers *all, Runtime *rt, const char *path, bool recursive, Waker waker) {
  Watcher *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->rt = rt;
  w->again = -1;
  atomic_init(&w->stop, false);
  w->tree = tree_watch_new(path, recursive, &w->stop);
  if (!w->tree || uv_queue_work(&rt->loop, &w->work, start_on_thread, on_started)) {
    tree_watch_free(w->tree);
    free(w);
    return NULL;
  }
  w->busy = w->waiting = true;
  w->waker = waker;
  w->place = &all->first;
  w->next = all->first;
  if (w->next) w->next->place = &w->next;
  all->first = w;
  return w;
}
