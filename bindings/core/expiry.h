/* A time limit for a task. */
#ifndef ML_EXPIRY_H
#define ML_EXPIRY_H

#include <lua.h>

/* expire(seconds, reason) -> a value for a to-be-closed variable: cancels the calling task, and all
   that it has started, if the block has not been left after that many seconds. That may be at once:
   then its next wait raises. */
int expiry_new(lua_State *L);

#endif
