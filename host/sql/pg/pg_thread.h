/* Calls of libpq that block, each on a thread of its own that nobody has to wait for: connecting
   looks names up and waits for servers, a CancelRequest does the latter. */
#ifndef ML_PG_THREAD_H
#define ML_PG_THREAD_H

#include "core/runtime.h"

#include <stdbool.h>

/* The head of a call, which owns all that it works on. */
typedef struct PgThread {
  struct PgThread *next;
  struct PgThreads *all;
  bool is_urgent;                     /* the runtime's end waits for it a moment */
  bool over, abandoned;               /* under the lock */
  void (*run)(struct PgThread *call); /* on the thread: nothing of the runtime's */
  /* On the loop, when `run` is over, and nobody has abandoned the call: it is the callee's. */
  void (*done)(struct PgThread *call);
  /* Frees the call, on whichever thread. */
  void (*drop)(struct PgThread *call);
} PgThread;

/* Readies the runtime for calls: before the close hooks of those that make them are added. False
   when memory or descriptors are out. */
bool pg_thread_open(Runtime *rt);

/* Starts the call, whose functions are set. Returns 0 or a libuv error: then it is the caller's. */
int pg_thread_start(Runtime *rt, PgThread *call);

/* Nobody waits for it any more: it is dropped when it is over. */
void pg_thread_abandon(PgThread *call);

/* Has somebody? From any thread. True, too, when the runtime has closed. */
bool pg_thread_is_abandoned(PgThread *call);

/* Somebody begins, or ceases, to wait for calls: they keep the loop alive. */
void pg_thread_hold(Runtime *rt, int change);

#endif
