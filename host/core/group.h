/* Task groups: children that cannot outlive a block. A group is a cancel scope of the task that
   opened it; leaving it waits for all children; the first failure cancels the others and the body.
 */
#ifndef ML_GROUP_H
#define ML_GROUP_H

#include "core/task.h"

typedef struct Group {
  Scope scope;   /* scope.task: the task that opened it; NULL when it has been left */
  int table_ref; /* registry table: the handles of live and failed children, by GroupMember.index */
  int last_index, live_count;
  struct GroupMember *live;
  struct GroupMember *failed, **failed_tail; /* in the order they ended */
  struct GroupMember *spare;                 /* for reuse, with their indexes */
  Waker waker;                               /* of the task that waits at the end of the block */
  int error;         /* the index on its stack of the error that the body ended with, or 0 */
  int failed_before; /* how many children had failed when the body did */
  bool body_failed;  /* that error is the body's own, not a cancel */
  bool uncovered;    /* and replaced a cancel that its clean-up met (traceback.h) */
  bool body_stopped; /* that error is the cancel of this group */
  bool waiting;      /* at the end of the block */
  int (*after)(lua_State *L, struct Group *group);
  bool interrupted; /* its task was cancelled while it waited */
} Group;

/* Opens a group (in uninitialised memory) in the running task. May raise a memory error. */
void group_open(lua_State *L, Group *group, Task *t);

/* Starts the function and `nargs` arguments on the top of L (popped) as a child, and pushes its
   handle. Raises, with nothing started, if the group has been left or is being cancelled. */
Task *group_spawn(lua_State *L, Group *group, int nargs);

/* Cancels the children and the body. */
void group_cancel(Group *group, CancelCause *cause);

/* The end of the block: `error` is the index of the error that the body ended with, or 0. Waits for
   all children (`return group_leave(...)`); afterwards raises the only failure as it is, a "group"
   error for several, or, if nothing has failed, the cancel that came while it waited. Otherwise the
   results are those of `after`. */
int group_leave(lua_State *L, Group *group, int error, int (*after)(lua_State *L, Group *group));

/* Frees what a group holds, and closes one that has never been left. Does not run Lua code. */
void group_free(lua_State *L, Group *group);

#endif
