/* The values of ml.var that belong to a task, by variable: one table per task, or none. A task's
   table never changes, so a child shares its parent's until one of them sets a value. */
#ifndef ML_TASK_VARS_H
#define ML_TASK_VARS_H

#include "core/task.h"

/* Pushes the task's values, or nil. */
void task_vars_push(lua_State *L, Task *t);

/* Makes the table on the top of L (popped), or nil, the task's values. May raise. */
void task_vars_set(lua_State *L, Task *t);

/* Gives a new task the values of the running one, which has some. May raise. */
void task_vars_inherit(lua_State *L, Task *t);

/* Drops those of an ended task. */
void task_vars_drop(lua_State *L, Task *t);

#endif
