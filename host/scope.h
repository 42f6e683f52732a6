/* Cancel scopes: regions of a task's execution that can be cancelled, nested. The task itself is
   the outermost one. Cancelling is level-triggered: while a cancelled scope is open, every
   suspension inside it raises. */
#ifndef ML_SCOPE_H
#define ML_SCOPE_H

#include "timer.h"
#include <lua.h>
#include <stdbool.h>

struct ml_Task;
struct ml_Runtime;

/* Why something was cancelled. The error object is made when it is first raised, once, so that
   its identity tells whose cancel it is. */
typedef struct CancelCause {
  unsigned refs;
  int reason_ref;     /* the reason as the script gave it, or LUA_NOREF */
  int error_ref;      /* the error object, or LUA_NOREF */
  const char *reason; /* or the host's reason: a string literal, or NULL */
  /* Not negative: a deadline of so many seconds has passed. Its error is a timeout, which pcall may
     catch like any other. */
  double deadline;
  struct ml_Runtime *rt;
} CancelCause;

typedef struct Scope {
  struct Scope *outer;
  struct ml_Task *task;
  CancelCause *cause; /* not NULL: cancelled */
  bool shield;        /* cancels from outside wait until it is closed */
  /* Or NULL: the task has ended inside the scope. Runs with the task's stack; no Lua code. */
  void (*abandoned)(struct Scope *scope, lua_State *L);
  Timer timer;
} Scope;

/* A new cause with one reference; NULL when memory is out. `reason` is a literal, or NULL. */
CancelCause *cause_new(struct ml_Runtime *rt, const char *reason);
/* The same with the value on the top of L (popped) as the reason. */
CancelCause *cause_new_from(lua_State *L);
/* Adds a reference; takes one away, and frees the cause with the last one (NULL is none). */
CancelCause *cause_hold(CancelCause *cause);
void cause_drop(CancelCause *cause);
/* The cause for the tasks that a cancelled one waits for, with a reference: the same, but for a
   deadline, which is a timeout for its own task only and a cancel for others. */
CancelCause *cause_for_others(CancelCause *cause);

/* Pushes the cause's error object. */
void cause_push_error(lua_State *L, CancelCause *cause);

/* Opens a scope inside those of `t` that are open. */
void scope_open(Scope *scope, struct ml_Task *t);

/* Closes it, whichever it is of its task's: generators can leave blocks in another order than they
   entered them. Drops its cause and its timer, delivers what a shield has held back. Harmless when
   it is closed (scope->task is NULL). Does not enter Lua. */
void scope_close(Scope *scope);

/* The innermost shield around what `t` runs now, or NULL. */
Scope *scope_shield_of(struct ml_Task *t);

/* Cancels what runs in the scope. Takes over the reference to `cause`. Does not enter Lua. */
void scope_cancel(Scope *scope, CancelCause *cause);

/* The cause in force for `t` now (the outermost one wins), or NULL. */
CancelCause *scope_pending(struct ml_Task *t);

/* Is the value at `index` the error object of a cancel that is in force for the running task? */
bool scope_is_own_cancel(lua_State *L, int index);

#endif
