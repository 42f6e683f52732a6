/* How the modules of this folder are opened. */
#ifndef ML_BINDINGS_PROCESS_OPEN_H
#define ML_BINDINGS_PROCESS_OPEN_H

#include <lua.h>

int luaopen_moonloop_process_core(lua_State *L);

#endif
