/* load, which marks an error of its reader as caught. */
#ifndef ML_LOAD_H
#define ML_LOAD_H

#include <lua.h>

void load_open(lua_State *L);

#endif
