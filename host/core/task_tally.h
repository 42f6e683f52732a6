/* A tally of tasks: those that an owner has entered and all their descendants, for an owner that
   has to know when the last one has ended (a draining server). */
#ifndef ML_TASK_TALLY_H
#define ML_TASK_TALLY_H

#include "core/task.h"

typedef struct TaskTally {
  size_t count; /* live tasks */
  /* The last one has ended. Must not enter Lua. */
  void (*empty)(struct TaskTally *tally);
} TaskTally;

/* Counts `t`, which is in no tally, and the tasks it starts from now on. The tally must outlive its
   tasks, or be disbanded. */
void task_tally_enter(TaskTally *tally, Task *t);

/* Stops counting `t`, if it was counted, and the tasks it starts from now on. */
void task_tally_leave(Task *t);

/* Cancels all tasks of the tally for `cause`. */
void task_tally_cancel(Runtime *rt, const TaskTally *tally, CancelCause *cause);

/* Stops counting its tasks; `empty` is not called. */
void task_tally_disband(Runtime *rt, TaskTally *tally);

#endif
