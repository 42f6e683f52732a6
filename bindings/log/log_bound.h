/* Fields that are bound to a task: all entries of the task, and of those that it starts, have them.
   They are the value of a variable (ml.var). */
#ifndef ML_LOG_BOUND_H
#define ML_LOG_BOUND_H

#include "core/task.h"
#include "log/log_fields.h"

/* set_variable(var): the values of this variable are bound. */
int log_bound_set_variable(lua_State *L);

/* bind(fields, before | nil) -> value for the variable: `fields`, a table, and those of `before`
   that are not among them. */
int log_bound_bind(lua_State *L);

/* bind_context(before | nil, name, text, ...) -> the same of texts that the host says of an entry:
   where it belongs. */
int log_bound_bind_context(lua_State *L);

/* Binds copies of the fields to `t`, a new task of the state, in place of all its variables. Raises
   if memory is out. */
void log_bound_enter(lua_State *L, Task *t, const LogFields *fields);

#endif
