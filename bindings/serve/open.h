/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_BINDINGS_SERVE_OPEN_H
#define ML_BINDINGS_SERVE_OPEN_H

#include <lua.h>

int luaopen_moonloop_service(lua_State *L);
int luaopen_moonloop_supervised(lua_State *L);

#endif
