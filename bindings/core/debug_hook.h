/* debug.sethook and debug.gethook, which share threads with the host's hook. */
#ifndef ML_DEBUG_HOOK_H
#define ML_DEBUG_HOOK_H

#include <lua.h>

/* Replaces them in the global `debug`. */
void debug_hook_open(lua_State *L);

#endif
