/* The module of this folder, as `require` opens it: described at the top of its file. */
#ifndef ML_BINDINGS_METRICS_OPEN_H
#define ML_BINDINGS_METRICS_OPEN_H

#include <lua.h>

int luaopen_moonloop_metrics_core(lua_State *L);

#endif
