/* The watchdog: a thread that checks from outside how long the loop has been inside one task.

   It gets no messages: tasks count a step when they start and stop running (scheduler.h), and the
   thread checks that count every few milliseconds. While the loop waits, it sleeps. If one stretch
   of Lua is longer than a limit, the loop's thread is interrupted and reports itself, or interrupts
   the task. */
#ifndef ML_WATCHDOG_H
#define ML_WATCHDOG_H

#include "core/names.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct Watchdog Watchdog;

/* What the host computes for a task, in no function that a script has called: literals. `what` is
   "encoding the JSON of its response", or NULL where a script's line says that; `hint` is what
   would let other tasks run meanwhile. */
typedef struct HostWork {
  const char *what, *hint;
} HostWork;

/* The runtime's part. */
typedef struct Watched {
  Watchdog *watchdog; /* or NULL */
  atomic_bool watchdog_asleep;
  bool serves_nobody;       /* set by the owner: only its own tasks could be held up */
  struct HeldUps *held_ups; /* who keeps what was reported (held_up.h), or NULL */
  const HostWork *work;     /* what is being done in the step `work_step`, or NULL */
  uint32_t work_step;
} Watched;

/* Starts to watch `rt`; it ends with the runtime. `block`: seconds after which an uninterrupted
   stretch is reported; `cpu`: CPU seconds after which it is interrupted; 0 means never. Returns 0
   or a libuv error. */
int watchdog_start(Runtime *rt, double block, double cpu);

/* Sets whether only tasks wait for the loop. If so, nothing is reported while the running task and
   its parents are the only ones. */
void watchdog_set_serves_nobody(Runtime *rt, bool serves_nobody);

/* Seconds after which a stretch is reported; 0: never. */
double watchdog_block_limit(const Runtime *rt);

/* The loop is running tasks again: wakes the thread. */
void watchdog_wake(Watchdog *w);

/* The stretch of this task, if it was reported, is over. */
void watchdog_stretch_over(Watchdog *w, const Task *t);

#endif
