/* moonloop.jwt.core */
#ifndef ML_JWT_OPEN_H
#define ML_JWT_OPEN_H

#include <lua.h>

int luaopen_moonloop_jwt_core(lua_State *L);

#endif
