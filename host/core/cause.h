/* Why something was cancelled. */
#ifndef ML_CAUSE_H
#define ML_CAUSE_H

#include "core/names.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The error object is made once, when it is first raised, so that its identity tells whose cancel
   it is. */
typedef struct CancelCause {
  unsigned refs;
  int reason_ref;     /* the reason as the script gave it, or LUA_NOREF */
  int error_ref;      /* the error object, or LUA_NOREF */
  const char *reason; /* the host's reason instead: a string literal, or NULL */
  /* If not negative, a deadline of this many seconds has passed. Its error is a timeout, which
     pcall may catch like any other. */
  double deadline;
  char *message; /* the message of that error, or NULL */
  Runtime *rt;
} CancelCause;

/* A new cause with one reference; NULL when memory is out. `reason` is a literal, or NULL. */
CancelCause *cause_new(Runtime *rt, const char *reason);
/* The same with the value on the top of L (popped) as the reason. */
CancelCause *cause_new_from(lua_State *L);
/* Sets the message of a deadline's error that has not been raised yet; `text` is copied. Does not
   enter Lua. */
void cause_set_message(CancelCause *cause, const char *text, size_t len);
/* Adds a reference; drops one, and frees the cause with the last one (NULL is ignored). */
CancelCause *cause_hold(CancelCause *cause);
void cause_drop(CancelCause *cause);
/* The cause for the tasks that a cancelled task waits for, with a reference: the same one, except
   for a deadline, which is a timeout only for its own task and a cancel for others. */
CancelCause *cause_for_others(CancelCause *cause);

/* Pushes the cause's error object. */
void cause_push_error(lua_State *L, CancelCause *cause);

/* Is the value at `index`, which is absolute, the cause's error object? */
bool cause_is_error(lua_State *L, int index, const CancelCause *cause);

#endif
