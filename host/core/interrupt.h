/* Interrupts: how the host breaks into running Lua code.

   A signal (SIGURG, which is ignored by default) is sent to the thread that runs the loop: by the
   watchdog, by the limiter's timer, by a pool for its workers. Its handler does what lua.c does for
   Ctrl-C: it sets a hook on the running coroutine, and the hook acts, between two instructions, on
   the loop's own thread. Nothing is set, and Lua runs at full speed, until then.

   If a script has its own hook, the host's replaces it and calls it (user_hook.h).
 */
#ifndef ML_INTERRUPT_H
#define ML_INTERRUPT_H

#include "core/names.h"
#include "core/user_hook.h"

#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define INTERRUPT_SIGNAL SIGURG

/* A source of interrupts. */
typedef struct Interrupt {
  struct Interrupt *next;
  /* Called in the signal handler, so it may do only what is safe there: is there something to do in
     the hook? `rt->scheduler.current` may be NULL. */
  bool (*wanted)(struct Interrupt *interrupt, Runtime *rt);
  /* Called in the hook, which has been removed from L before, to do it. May raise, and may set the
     hook again with interrupt_arm. The one added first is called last, and may yield if
     interrupt_may_yield says so. */
  void (*act)(struct Interrupt *interrupt, lua_State *L, lua_Debug *ar);
} Interrupt;

/* A C module's hook on a thread where the host's replaces it. */
typedef struct ForeignHook {
  lua_State *of; /* NULL: there is none */
  UserHook user;
  bool watched; /* the host's hook has seen all its events since one at which it could act */
} ForeignHook;

/* This many threads with such a hook can be interrupted and waiting at once; beyond that, the hook
   of the first is lost. */
#define FOREIGN_HOOKS 8

/* The runtime's part. */
typedef struct Interrupts {
  Interrupt *first;
  _Atomic pthread_t thread;      /* that runs the loop */
  volatile sig_atomic_t setting; /* a hook is being set: the signal handler sets none */
  volatile sig_atomic_t missed;  /* but it would have set one */
  bool at_line;                  /* the acts are due at the next line event */
  bool acting;                   /* running the acts of the hook */
  bool at_first;                 /* the function called last has not run an instruction yet */
  ForeignHook foreign[FOREIGN_HOOKS];
  unsigned next_foreign;
} Interrupts;

/* Adds an interrupt; the caller owns the memory, which outlives the Lua state. */
void interrupt_add(Runtime *rt, Interrupt *interrupt);

/* Removes it. */
void interrupt_remove(Runtime *rt, Interrupt *interrupt);

/* This thread is about to run the loop of `rt`: for those who signal it before that. */
void interrupt_note_thread(Runtime *rt);

/* This thread runs the loop of `rt` from now on, until interrupt_leave is called with the
   result. */
Runtime *interrupt_enter(Runtime *rt);
void interrupt_leave(Runtime *before);

/* Makes a kernel timer that interrupts this thread when it is set with timer_settime. The caller
   deletes it. False if the system has none left. */
bool interrupt_timer_new(timer_t *timer);

/* Sets the hook, for after `count` instructions of L. Safe in a signal handler of the thread that
   runs L. */
void interrupt_arm(lua_State *L, int count);

/* Is it set, or will the acts be reached through the count of a user's hook? */
bool interrupt_is_armed(lua_State *L);

/* Removes the hook. */
void interrupt_disarm(lua_State *L);

/* In an act: may the running task be suspended here, as the last act? If not, the act is called
   again soon. Lua can suspend between two instructions, that is at count and line events; if both
   come, only at the second. */
bool interrupt_may_yield(lua_State *L, lua_Debug *ar);

/* Sets the events that a user's hook on L needs; the mask 0 means none. */
void interrupt_set_user_hook(lua_State *L, int mask, int count);

/* Does L have a hook that was set by lua_sethook, and not by the host? */
bool interrupt_has_foreign_hook(lua_State *L);

#endif
