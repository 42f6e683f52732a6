/* Cancel scopes: regions of a task's execution that can be cancelled, nested. The task itself is
   the outermost one. Cancelling is level-triggered: while a cancelled scope is open, every
   suspension inside it raises. */
#ifndef ML_SCOPE_H
#define ML_SCOPE_H

#include "core/cause.h"
#include "core/timer.h"
#include <lua.h>
#include <stdbool.h>

struct ml_Task;

typedef struct Scope {
  struct Scope *outer;
  struct ml_Task *task;
  CancelCause *cause;    /* not NULL: cancelled */
  bool shield;           /* a shield: cancels from outside wait until it is closed */
  bool opened_in_flight; /* opened during the clean-up of a block that an error left
                            (Task.in_flight) */
  /* Called if the task has ended inside the scope, with the task's stack; must not run Lua code. Or
     NULL. */
  void (*abandoned)(struct Scope *scope, lua_State *L);
  Timer timer;
} Scope;

/* Opens a scope inside the open ones of `t`. */
void scope_open(Scope *scope, struct ml_Task *t);

/* Closes it, even if it is not the innermost of its task: generators can leave blocks in a
   different order than they entered them. Drops its cause and its timer, and delivers what a shield
   has held back. Harmless if it is closed (scope->task is NULL). Does not enter Lua. */
void scope_close(Scope *scope);

/* The innermost shield around the code that `t` is running, or NULL. */
Scope *scope_shield_of(struct ml_Task *t);

/* Cancels the code in the scope. Takes over the reference to `cause`. Does not enter Lua. */
void scope_cancel(Scope *scope, CancelCause *cause);

/* The running task `t` is about to wait, and is in a scope: limits that passed while it ran take
   effect now, before the loop can check them. Does not enter Lua. */
void scope_check_limits(struct ml_Task *t);

/* The cause in force for `t` now (the outermost one wins), or NULL. */
CancelCause *scope_pending(struct ml_Task *t);

/* Is the value at `index` the error object of a cancel that is in force for the running task? */
bool scope_is_own_cancel(lua_State *L, int index);

/* Does the value at `index` come from outside the running code: such a cancel, or the error of an
   expired deadline whose block is open? */
bool scope_is_cut(lua_State *L, int index);

#endif
