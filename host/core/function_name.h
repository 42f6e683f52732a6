/* The names by which scripts know functions, for messages and tracebacks. */
#ifndef ML_FUNCTION_NAME_H
#define ML_FUNCTION_NAME_H

#include <lua.h>

/* Pushes "ml.sleep", "task:await" or "table.sort" for the function at `index`; nil if it is in no
   module that scripts may use. The host's inner modules are never named. */
void function_name_push(lua_State *L, int index);

#endif
