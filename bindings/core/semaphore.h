/* Permits that tasks wait for. */
#ifndef ML_SEMAPHORE_H
#define ML_SEMAPHORE_H

#include <lua.h>

/* semaphore(n) -> semaphore, lock() -> lock */
int semaphore_new(lua_State *L);
int semaphore_new_lock(lua_State *L);

#endif
