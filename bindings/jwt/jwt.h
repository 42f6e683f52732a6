/* The parts of moonloop.jwt.core. */
#ifndef ML_JWT_H
#define ML_JWT_H

#include <lua.h>

#define JWT_KEY_CLASS "moonloop.jwt.key"

/* key(der, is_private) -> key | nil, what is wrong with it. Suspends. */
int jwt_l_key(lua_State *L);

/* Makes the class of keys. */
void jwt_key_open(lua_State *L);

#endif
