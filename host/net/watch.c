#include "net/watch.h"

#include "core/task.h"
#include <stdlib.h>
#include <unistd.h>

static void close_all(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Watches *all = container_of(hook, Watches, close_hook);
  while (all->open) watch_close(all->open);
}

void watch_keep(Watches *all, Runtime *rt) {
  all->rt = rt;
  all->close_hook.close = close_all;
  ml_runtime_on_close(rt, &all->close_hook);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Asks for what is waited for. */
static void ask(Watch *w) {
  int events =
      (w->readers.count && !w->rest.place ? UV_READABLE : 0) | (w->writers.count ? UV_WRITABLE : 0);
  if (events)
    uv_poll_start(&w->poll, events, on_ready);
  else
    uv_poll_stop(&w->poll);
}

/* Only those who wait keep the loop alive. */
static void hold(Watch *w) {
  if (w->readers.count || w->writers.count)
    uv_ref((uv_handle_t *)&w->poll);
  else
    uv_unref((uv_handle_t *)&w->poll);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  Watch *w = (Watch *)poll;
  if (status < 0) events = UV_READABLE | UV_WRITABLE; /* whoever tries learns what it is */
  /* It is not stopped where one was woken: most likely that task waits again before the loop
     does. */
  bool idle = status < 0 || events & UV_WRITABLE;
  if (events & UV_READABLE && !waiters_wake_first(&w->readers)) idle = true;
  if (events & UV_WRITABLE) waiters_wake_all(&w->writers);
  if (idle) ask(w);
  hold(w);
}

int watch_open(Watches *all, int fd, Watch **out) {
  Watch *w = calloc(1, sizeof *w);
  int error = w ? uv_poll_init(&all->rt->loop, &w->poll, fd) : UV_ENOMEM;
  if (error) {
    free(w);
    close(fd);
    return error;
  }
  uv_unref((uv_handle_t *)&w->poll);
  w->all = all;
  w->fd = fd;
  waiters_init(&w->readers);
  waiters_init(&w->writers);
  w->next = all->open;
  if (w->next) w->next->place = &w->next;
  w->place = &all->open;
  all->open = w;
  *out = w;
  return 0;
}

void watch_begin(Watch *w, Task *t, bool to_write) {
  waiters_join(to_write ? &w->writers : &w->readers, &t->waiter);
  ask(w);
  hold(w);
}

void watch_end(Watch *w, Task *t, bool to_write) {
  waiters_leave(to_write ? &w->writers : &w->readers, &t->waiter);
  hold(w);
}

static void on_rested(Timer *timer) {
  Watch *w = container_of(timer, Watch, rest);
  ask(w);
}

void watch_rest(Watch *w, double seconds) {
  TimerHeap *timers = &w->all->rt->timers;
  timer_set(timers, &w->rest, timer_due(runtime_now(w->all->rt), seconds), on_rested);
  ask(w);
}

void watch_pause(Watch *w, bool paused) {
  if (w->is_paused == paused || w->fd < 0) return;
  w->is_paused = paused;
  ask(w);
}

static void on_closed(uv_handle_t *handle) {
  Watch *w = (Watch *)handle;
  w->is_over = true;
  if (w->is_released) free(w);
}

int watch_take(Watch *w) {
  int fd = w->fd;
  if (fd < 0) return -1;
  timer_clear(&w->all->rt->timers, &w->rest);
  *w->place = w->next;
  if (w->next) w->next->place = w->place;
  uv_close((uv_handle_t *)&w->poll, on_closed);
  w->fd = -1;
  waiters_wake_all(&w->readers);
  waiters_wake_all(&w->writers);
  return fd;
}

void watch_close(Watch *w) {
  int fd = watch_take(w);
  if (fd >= 0) close(fd);
}

void watch_release(Watch *w) {
  watch_close(w);
  w->is_released = true;
  if (w->is_over) free(w);
}
