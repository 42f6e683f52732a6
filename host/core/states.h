/* Marks on Lua states, and checks of the stack that a wait would have to suspend. */
#ifndef ML_STATES_H
#define ML_STATES_H

#include "core/runtime.h"

/* In the low bits of STATE_WORD. */
#define STATE_OF_TASK 1u /* the thread of a task: only the scheduler resumes it */
#define STATE_BUSY 2u    /* a coroutine that a host suspension went through: its task waits */

/* Does the state have this mark? */
static inline bool state_has(lua_State *L, uintptr_t mark) { return (STATE_WORD(L) & mark) != 0; }

/* Raises why `function` cannot wait here: outside of a task, in a coroutine that the host did not
   resume, or below a C function that Lua cannot suspend, which is named with the line it is on. */
int states_raise_cannot_wait(lua_State *L, const char *function);

/* Declares that the C function `f` of the host lets suspensions through, so the message above skips
   it. */
void states_note_transparent(lua_State *L, lua_CFunction f);

/* Pushes the traceback of the running coroutine from `level` on, and those of the coroutines that
   have resumed it. */
void states_push_traceback(lua_State *L, int level);

#endif
