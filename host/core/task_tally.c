#include "core/task_tally.h"

void task_tally_enter(TaskTally *tally, Task *t) {
  t->tally = tally;
  tally->count++;
}

void task_tally_leave(Task *t) {
  TaskTally *tally = t->tally;
  t->tally = NULL;
  if (tally && --tally->count == 0) tally->empty(tally);
}

/* The live task after `t`, parents first, or NULL. */
static Task *next_task(Task *t) {
  if (t->children) return t->children;
  while (t && !t->sibling) t = t->parent;
  return t ? t->sibling : NULL;
}

void task_tally_cancel(Runtime *rt, const TaskTally *tally, CancelCause *cause) {
  for (Task *t = rt->tasks.roots; t; t = next_task(t))
    if (t->tally == tally) task_cancel(t, cause);
}

void task_tally_disband(Runtime *rt, TaskTally *tally) {
  for (Task *t = rt->tasks.roots; t; t = next_task(t))
    if (t->tally == tally) t->tally = NULL;
  tally->count = 0;
}
