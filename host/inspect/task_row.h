/* A task as JSON, for the pages of the inspector. */
#ifndef ML_TASK_ROW_H
#define ML_TASK_ROW_H

#include "base/buffer.h"
#include "core/task.h"

/* Appends an object: what it is, what it does, for how long, and where. */
void task_row_write(const Task *t, Buffer *out);

/* Appends members of another: its traceback, its ancestors, nearest first, and how many live
   children it has. */
void task_row_write_more(const Task *t, Buffer *out);

#endif
