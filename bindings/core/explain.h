/* Notes on errors that only say that something is nil: moonloop.core.notes, loaded when the first
   such error is raised. */
#ifndef ML_EXPLAIN_H
#define ML_EXPLAIN_H

#include <lua.h>

/* Called once per state. */
void explain_open(lua_State *L);

#endif
