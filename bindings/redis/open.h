/* moonloop.redis.core */
#ifndef ML_REDIS_OPEN_H
#define ML_REDIS_OPEN_H

#include <lua.h>

int luaopen_moonloop_redis_core(lua_State *L);

#endif
