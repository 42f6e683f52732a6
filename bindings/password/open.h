/* moonloop.password.core */
#ifndef ML_PASSWORD_OPEN_H
#define ML_PASSWORD_OPEN_H

#include <lua.h>

int luaopen_moonloop_password_core(lua_State *L);

#endif
