/* Interrupts: how the host breaks into Lua code that runs.

   A signal (SIGURG, which is ignored by default) is sent to the thread that runs the loop: by the
   watchdog, by the limiter's timer, by a pool for its workers. Its handler does what lua.c does for
   Ctrl-C: it sets a hook on the running coroutine, and the hook acts, between two instructions, on
   the loop's own thread. Nothing is set, and Lua runs at full speed, until then. */
#ifndef ML_INTERRUPT_H
#define ML_INTERRUPT_H

#include "runtime.h"

#include <signal.h>
#include <time.h>

#define INTERRUPT_SIGNAL SIGURG

/* Somebody who interrupts. */
typedef struct Interrupt {
  struct Interrupt *next;
  /* In the signal handler, so it may do only what is safe there: is there something to do in the
     hook? `rt->current` may be NULL. */
  bool (*wanted)(struct Interrupt *interrupt, Runtime *rt);
  /* In the hook, which has been taken off L before: does it. May raise, and may set the hook again
     with interrupt_arm. The one that was added first comes last, and may yield. */
  void (*act)(struct Interrupt *interrupt, lua_State *L, lua_Debug *ar);
} Interrupt;

/* Adds an interrupt; the caller owns the memory, which outlives the Lua state. */
void interrupt_add(Runtime *rt, Interrupt *interrupt);

/* Takes it out again. */
void interrupt_remove(Runtime *rt, Interrupt *interrupt);

/* This thread runs the loop of `rt` from now on, until interrupt_leave with what this returned. */
Runtime *interrupt_enter(Runtime *rt);
void interrupt_leave(Runtime *before);

/* Makes a kernel's timer that interrupts this thread when it is set, with timer_settime. The caller
   deletes it. False when the system has none left. */
bool interrupt_timer_new(timer_t *timer);

/* Sets the hook, for after `count` instructions of L. Safe in a signal handler of the thread that
   runs L. A hook of debug.sethook comes back when ours has run. */
void interrupt_arm(lua_State *L, int count);

/* Is it set? */
bool interrupt_is_armed(lua_State *L);

#endif
