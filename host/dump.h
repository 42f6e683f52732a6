/* The live tasks as text for people: a tree, equal siblings counted together. Nothing here enters
   Lua, so that it can be made between two passes, and of a runtime that is in trouble. */
#ifndef ML_DUMP_H
#define ML_DUMP_H

#include "buffer.h"
#include "task.h"

/* Appends all live tasks but the host's own; with `tracebacks` where each of them is. Tasks of one
   parent that were spawned at one place, are in one state, wait for the same (numbers aside) and
   have equal children are one entry with their number; the details are those of the oldest. False
   when memory is out: the text is cut off. */
bool dump_tasks(Runtime *rt, bool tracebacks, Buffer *out);

/* What the task waits for, "sleep for 2.5 s more", in `text`; false when it does not wait. */
bool dump_waiting_for(const Task *t, char *text, size_t size);

/* The task's status for people: one that is being ended is suspended. */
TaskStatus dump_status(const Task *t);

#endif
