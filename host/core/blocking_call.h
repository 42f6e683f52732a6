/* Which of the host's functions does without blocking what a C function does that blocks: for the
   reports of the watchdog. */
#ifndef ML_BLOCKING_CALL_H
#define ML_BLOCKING_CALL_H

#include <lua.h>
#include <stdbool.h>

enum { BLOCKING_CALLS = 16 };

/* The addresses of Lua's own functions that block, or NULL, by their row in a table of names. */
typedef struct BlockingCalls {
  lua_CFunction functions[BLOCKING_CALLS];
} BlockingCalls;

/* Notes the functions of the libraries that L has. */
void blocking_calls_note(BlockingCalls *calls, lua_State *L);

/* "os.execute blocks the whole loop; ml.process.run would let other tasks run meanwhile" if such a
   function is on top of L's stack, otherwise NULL: in two parts, which are literals. Safe in a
   signal handler of the thread that runs L. */
typedef struct BlockingHint {
  const char *function; /* NULL: no hint */
  const char *ours;
} BlockingHint;
BlockingHint blocking_calls_hint(const BlockingCalls *calls, lua_State *L);

#endif
