/* The module of this folder, as `require` opens it: described at the top of its file. */
#ifndef ML_BINDINGS_TIME_OPEN_H
#define ML_BINDINGS_TIME_OPEN_H

#include <lua.h>

int luaopen_moonloop_time_dates(lua_State *L);

#endif
