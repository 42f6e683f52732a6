/* The module of this folder, as `require` opens it: described at the top of hub.c. */
#ifndef ML_BINDINGS_HUB_OPEN_H
#define ML_BINDINGS_HUB_OPEN_H

#include <lua.h>

int luaopen_moonloop_hub_core(lua_State *L);

#endif
