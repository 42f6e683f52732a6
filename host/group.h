/* Task groups: children that cannot outlive a block. A group is a cancel scope of the task that
   opened it; leaving it waits for all children; the first failure cancels the others and the body.
 */
#ifndef ML_GROUP_H
#define ML_GROUP_H

#include "task.h"

typedef struct Group {
  Scope scope;   /* scope.task: who opened it; NULL when it has been left */
  int table_ref; /* registry table: the handles of live and failed children, by GroupMember.index */
  int last_index, live_count;
  struct GroupMember *live;
  struct GroupMember *failed, **failed_tail; /* in the order they ended */
  struct GroupMember *spare;                 /* to be used again, with their indexes */
  Waker waker;                               /* of who waits at the end of the block */
  int error;         /* the index on its stack of the error that the body ended with, or 0 */
  int failed_before; /* how many had failed when the body did */
  bool body_failed;  /* that error is the body's own, no cancel */
  bool body_stopped; /* that error is the cancel of this group */
  bool waiting;      /* at the end of the block */
  int (*after)(lua_State *L, struct Group *group);
  bool interrupted; /* its task was cancelled while it waited */
} Group;

/* Opens a group (its memory may be garbage) in the running task. May raise a memory error. */
void group_open(lua_State *L, Group *group, Task *t);

/* Starts the function and `nargs` arguments on the top of L (popped) as a child, and pushes its
   handle. Raises where the group has been left or is being cancelled; then nothing is started. */
Task *group_spawn(lua_State *L, Group *group, int nargs);

/* Cancels the children and the body. */
void group_cancel(Group *group, CancelCause *cause);

/* The end of the block: `error` is the index of the error that the body ended with, or 0. Waits for
   all children (`return group_leave(...)`); when that is over, raises what there is to raise: the
   only failure as it is, a "group" error of several, or the cancel that came while it waited.
   Otherwise the results are those of `after`. */
int group_leave(lua_State *L, Group *group, int error, int (*after)(lua_State *L, Group *group));

/* Frees what a group holds; one that has never been left is closed. Does not run Lua code. */
void group_free(lua_State *L, Group *group);

#endif
