/* Queues between tasks. */
#ifndef ML_QUEUE_H
#define ML_QUEUE_H

#include <lua.h>

int queue_new(lua_State *L);

#endif
