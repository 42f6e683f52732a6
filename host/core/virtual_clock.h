/* A clock for specs that does not wait: it stands still while Lua code runs, and jumps to the next
   timer when no task can continue. An hour of sleeps takes milliseconds, in exact order.

   Real work is still waited for. While there is work that could wake a task and that no clock of
   ours brings on, the virtual clock runs as the real one does, and timers come in real time. Such
   work is every handle and request that keeps the loop alive (executor jobs, files, name look-ups,
   child processes, terminals, sockets) but for
   - the timers of the runtime,
   - listening sockets,
   - TCP connections both ends of which are on this loop: nothing comes from outside on them, so
     that a spec can have its own server answer late. Before a jump their bytes in flight get up to
     a millisecond to arrive. */
#ifndef ML_VIRTUAL_CLOCK_H
#define ML_VIRTUAL_CLOCK_H

#include "core/runtime.h"

/* Makes the clock virtual, or real again. Either continues from the current time; timers keep their
   times. */
void virtual_clock_set(Runtime *rt, bool on);

/* One turn of the loop on the virtual clock: events if there are any, otherwise a jump, otherwise a
   wait. False if nothing is left that could wake a task. */
bool virtual_clock_turn(Runtime *rt);

#endif
