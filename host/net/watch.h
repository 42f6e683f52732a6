/* Descriptors that tasks wait for: a listening socket, one of UDP. Each wait tries first and waits
   only where the descriptor is not ready; a task that is woken tries again.

   Everything belongs to one runtime and its thread. Nothing here enters Lua. */
#ifndef ML_WATCH_H
#define ML_WATCH_H

#include "core/runtime.h"
#include "core/waiters.h"

typedef struct Watch Watch;

/* The watches of a runtime, closed with it. All zero but `rt` is an empty list. */
typedef struct Watches {
  CloseHook close_hook;
  Runtime *rt;
  Watch *open;
} Watches;

struct Watch {
  uv_poll_t poll; /* first */
  Watches *all;
  Watch *next, **place;
  int fd; /* -1: it is closed */
  Waiters readers, writers;
  Timer rest;     /* set: what comes in is left alone for a while */
  bool is_paused; /* what comes in is left alone */
  bool is_over;   /* libuv has closed it */
  bool is_released;
};

/* Has the open ones closed when the runtime closes. The list must live until then. */
void watch_keep(Watches *all, Runtime *rt);

/* Takes over the descriptor in any case. Returns 0 and the watch, or a libuv error. */
int watch_open(Watches *all, int fd, Watch **out);

/* The task waits until the descriptor can be read (or written), or is closed; it stops waiting. */
void watch_begin(Watch *w, Task *t, bool to_write);
void watch_end(Watch *w, Task *t, bool to_write);

/* Nothing can be done with what comes in (no descriptor is free): those who wait to read are woken
   in `seconds`, not before. */
void watch_rest(Watch *w, double seconds);

/* What comes in is left alone from now on, or no more: those who wait to read go on waiting. */
void watch_pause(Watch *w, bool paused);

/* Ends it, and wakes those who wait, who find `fd` -1. Returns the descriptor, which is the
   caller's then; -1 if it was over. Close does the same and closes the descriptor. */
int watch_take(Watch *w);
void watch_close(Watch *w);

/* Closes it, and frees it when libuv is done with it. */
void watch_release(Watch *w);

#endif
