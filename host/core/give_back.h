/* Returns memory to the system when a burst is over.

   Memory used by a burst is free afterwards, but stays with malloc, with the Lua state's own
   allocator, and as garbage with the collector, whose next cycle may be far away. Once a second
   while the loop has passes, and once more after the last of them, the host estimates how much that
   may be. If it is worth it, the collector runs its cycles while the loop is idle, and empty memory
   is returned. */
#ifndef ML_GIVE_BACK_H
#define ML_GIVE_BACK_H

#include "core/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* The runtime's part. */
typedef struct GiveBack {
  uint64_t at;            /* time of the next look */
  bool works;             /* steps are to be done */
  unsigned cycles, steps; /* collector cycles left, at most */
  bool generational;      /* the collector's mode after that */
  uv_timer_t timer;       /* wakes the loop for the last look; does not keep it alive */
  bool woken;             /* by the timer */
  uint64_t last_task;     /* the last task started before the last look */
  size_t large;           /* Memory.large at the last look */
  size_t large_before;    /* the same when memory was last returned */
  size_t lua_left;        /* bytes of the Lua state then */
  size_t free_left;       /* bytes that malloc kept free then */
  size_t gone;            /* values that were let go of since then */
} GiveBack;

/* For a new runtime, and for one that is closing. */
void give_back_open(Runtime *rt);
void give_back_close(Runtime *rt);

/* It is time for a look, at the beginning of a pass. */
void give_back_look(Runtime *rt);

/* A runtime whose loop is not running has been idle for a while: sets `works` if it is worth
   it. */
void give_back_when_idle(Runtime *rt);

/* So many values that had lain about for long were let go of, each perhaps the last of its page. */
void give_back_note_gone(Runtime *rt, size_t count);

/* Does one step, while no task is ready and `works` is set. */
void give_back_step(Runtime *rt);

#endif
