/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_BINDINGS_WEBSOCKET_OPEN_H
#define ML_BINDINGS_WEBSOCKET_OPEN_H

#include <lua.h>

int luaopen_moonloop_websocket_core(lua_State *L);

#endif
