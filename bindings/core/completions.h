/* Tasks in the order in which they end. */
#ifndef ML_COMPLETIONS_H
#define ML_COMPLETIONS_H

#include <lua.h>

/* completions(tasks, n) -> completions */
int completions_new(lua_State *L);

#endif
