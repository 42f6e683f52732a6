/* moonloop.trace.core */
#ifndef ML_BINDINGS_TRACE_OPEN_H
#define ML_BINDINGS_TRACE_OPEN_H

#include <lua.h>

int luaopen_moonloop_trace_core(lua_State *L);

#endif
