/* Whose turn it is: ready tasks run once a pass, in the order in which they became ready. */
#ifndef ML_SCHEDULER_H
#define ML_SCHEDULER_H

#include "task.h"

/* The `op` of a task that waits for nothing but that the tasks which are ready have run once: also
   in a shuffled order it comes after them. */
extern char scheduler_yields;

/* Runs the tasks that are ready now, each once: the one place that resumes tasks. */
void scheduler_run_ready(Runtime *rt);

/* In a hook of L, as its last act, where the running task can be suspended: it goes on when the
   others have run and the loop has looked for events. */
void scheduler_preempt(lua_State *L, Task *t);

#endif
