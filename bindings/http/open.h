/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_BINDINGS_HTTP_OPEN_H
#define ML_BINDINGS_HTTP_OPEN_H

#include <lua.h>

int luaopen_moonloop_http_core(lua_State *L);

#endif
