/* The live tasks as a readable tree, with equal siblings counted together. Nothing here enters Lua,
   so it can be made between two passes, and for a runtime in trouble. */
#ifndef ML_DUMP_H
#define ML_DUMP_H

#include "base/buffer.h"
#include "core/task.h"

/* Appends all live tasks except the host's own; with `tracebacks`, also where each of them is.
   Tasks of one parent that were spawned at one place, are in one state, wait for the same thing
   (apart from numbers) and have equal children share one entry with their count and the details of
   the oldest. False if memory is out: then the text is cut off. */
bool dump_tasks(Runtime *rt, bool tracebacks, Buffer *out);

/* What the task waits for, "sleep for 2.5 s more", in `text`; false when it does not wait. */
bool dump_waiting_for(const Task *t, char *text, size_t size);

/* The line of a script where the task is, "app.lua:42", in `text`; false if none of a script's code
   has begun in it. */
bool dump_place(const Task *t, char *text, size_t size);

/* Appends where the task is: a line for each function. */
void dump_traceback(const Task *t, Buffer *out);

/* The task's status for display: one that is being ended counts as suspended. */
TaskStatus dump_status(const Task *t);

#endif
