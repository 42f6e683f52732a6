/* Additions to the waiting functions of moonloop.h for the host's own operations. */
#ifndef ML_WAIT_H
#define ML_WAIT_H

#include "core/runtime.h"

#include <lua.h>
#include <stdbool.h>

/* Can the caller be suspended here? A cancel that is in force does not matter. */
bool wait_is_possible(lua_State *L);

/* Pushes the error object of the cancel that interrupted the wait of `t`, for a `finish` after a
   deferred cancel; or raises it. */
void wait_push_cancel(lua_State *L, Task *t);
int wait_raise_cancel(lua_State *L, Task *t);

/* The `cancel` of a wait for which there is nothing to undo. */
void wait_cancel_nothing(Task *t, void *op);

/* --- calls that did not have to wait --- */

/* How much a task may do in one turn with calls that could have waited but did not: about a
   millisecond's work. */
enum { WAIT_TURN = 1024 };

/* The share of it used by a call that moved this many bytes. */
static inline uint32_t wait_cost(size_t bytes) { return 1 + (uint32_t)(bytes / 512); }

/* May the running task give way to the others? Not where it cannot be suspended, nor in clean-up
   while a cancel is pending. */
bool wait_may_give_way(lua_State *L);

/* Suspends until the other tasks have had their turn, where wait_may_give_way; then `type->finish`
   goes on. Nothing has to be undone if a cancel comes first. */
int wait_give_way(lua_State *L, const WaitType *type, void *op);

/* The same for `n` results on the top of L, which it returns. */
int wait_for_turn(lua_State *L, int n);

/* Ends a call that could have suspended the task but did not need to: `return wait_spared(L, n,
   cost);` with its `n` results on the top of L. A task that always finds what it asks for would
   keep the others from running, so every now and then it gives way before it gets its results. The
   call has already done its work by then, so a check made before the call stays valid. */
static inline int wait_spared(lua_State *L, int n, uint32_t cost) {
  Scheduler *s = &runtime_of(L)->scheduler;
  uint32_t step = atomic_load_explicit(&s->step, memory_order_relaxed);
  if (s->spent_in != step) {
    s->spent_in = step;
    s->spent = 0;
  }
  s->spent += cost;
  return s->spent < WAIT_TURN ? n : wait_for_turn(L, n);
}

#endif
