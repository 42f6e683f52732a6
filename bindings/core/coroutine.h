/* coroutine.*, which lets the suspensions of the host through. */
#ifndef ML_COROUTINE_H
#define ML_COROUTINE_H

#include <lua.h>

/* Replaces the functions in the global `coroutine`. */
void coroutine_open(lua_State *L);

#endif
