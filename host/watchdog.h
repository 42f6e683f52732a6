/* The watchdog: a thread that looks, from outside, how long the loop has been inside one task.

   It is told nothing: tasks count a step when they start to run and when they stop (runtime.h), and
   the thread looks at that count every few milliseconds. While the loop waits it sleeps. When one
   stretch of Lua is longer than a limit, the loop's thread is interrupted and reports itself, or
   breaks the task off. */
#ifndef ML_WATCHDOG_H
#define ML_WATCHDOG_H

#include "runtime.h"

typedef struct Watchdog Watchdog;

/* Starts to watch `rt`; it ends with the runtime. `block`: seconds after which an uninterrupted
   stretch is reported; `cpu`: CPU seconds after which it is broken off; 0 is never. Returns 0 or a
   libuv error. */
int watchdog_start(Runtime *rt, double block, double cpu);

/* The loop runs tasks again: wakes the thread. */
void watchdog_wake(Watchdog *w);

/* The stretch that was reported is over. */
void watchdog_stretch_over(Watchdog *w);

#endif
