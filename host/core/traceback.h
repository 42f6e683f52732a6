/* Tracebacks that follow an error from task to task, and errors in flight.

   A task stores the origin (origin.h) of the error that is passing through it.

   An error is in flight from where it is raised to where it is caught. Clean-up that runs meanwhile
   (a to-be-closed variable) may wait and meet a cancel, which Lua then raises instead of the error.
   Where errors are caught, and at the ends of blocks that can be cancelled, the error is restored.
 */
#ifndef ML_TRACEBACK_H
#define ML_TRACEBACK_H

#include "core/names.h"

#include <lua.h>
#include <stdbool.h>

/* The runtime's part. */
typedef struct Tracebacks {
  int origins_ref; /* registry table: origins of errors by Task.slot */
  int flights_ref; /* the same: errors in flight by Task.slot */
  bool all_frames; /* show the host's own frames, too (stack_text.h) */
  /* Pushes a note that may explain the error at `index`, or nil; or NULL. For the message
     handler. */
  void (*explain)(lua_State *L, int index);
  /* Looks at the error at `index` while the frames that raised it still stand; or NULL. For the
     message handler. Leaves the stack as it was. */
  void (*raised)(lua_State *L, int index);
} Tracebacks;

/* Prepares it (called once per state). May raise. */
void traceback_open(lua_State *L);

/* The message handler of task bodies, and of the blocks that an error passes through: stores the
   traceback, then returns the error value unchanged. */
int traceback_handler(lua_State *L);

/* The same for an error that is caught right there: stores no traceback. */
int traceback_catch_handler(lua_State *L);

/* Raises the value below the top of L; its origin is on the top. */
int traceback_raise(lua_State *L);

/* Puts the text on the top of L (popped) before what is stored for the error at `index`; pushes an
   origin. */
void traceback_extend(lua_State *L, int index);

/* Stores the traceback of this place for the error value at `index`, which is about to be raised
   from a hook in L: code that lets it through would not see the traceback. */
void traceback_note(lua_State *L, int index);

/* Did clean-up meet the error at index 1 while another one was in flight, which will replace it? */
bool traceback_is_covering(lua_State *L);

/* Pushes the error in flight, for code that catches errors meanwhile and sets it again. */
void traceback_push_flight(lua_State *L, const Task *t);

/* Marks the error at `index` as in flight. */
void traceback_set_flight(lua_State *L, Task *t, int index);

/* The error on the top of L was caught. */
void traceback_caught(lua_State *L, Task *t);

/* The same if another one may be in flight. */
void traceback_caught_other(lua_State *L, Task *t);

/* Drops the origin stored for `t`. */
void traceback_forget(Task *t);

/* `t` has ended: drops everything stored for it. */
void traceback_task_ended(Task *t);

/* Pushes the origin kept for the error value at `index`, which ended `t`, or nil. */
void traceback_push_origin(lua_State *L, Task *t, int index);

/* Pushes the same as a text, or nil. */
void traceback_push(lua_State *L, Task *t, int index);

/* Turns what is stored for the error value at `index` into a text, so that traceback_push needs no
   memory. */
void traceback_settle(lua_State *L, Task *t, int index);

/* A block ends with the error on the top of L. If that is a cancel or a deadline's error that
   clean-up met while another error was in flight, the other one replaces it: true. `before`: an
   error was in flight when the block began (Scope.opened_in_flight). */
bool traceback_uncover(lua_State *L, Task *t, bool before);

#endif
