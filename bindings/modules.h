/* The list of the modules that scripts can require. */
#ifndef ML_MODULES_H
#define ML_MODULES_H

#include <lua.h>

/* Replaces the functions of the standard library that must be able to suspend, and preloads the
   host's modules: those in C, declared in the folders' open.h, and the Lua parts embedded in the
   binary. Called once per state. May raise. */
void modules_open(lua_State *L);

#endif
