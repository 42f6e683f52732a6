/* Values and events that tasks wait for. */
#ifndef ML_FUTURE_H
#define ML_FUTURE_H

#include <lua.h>

/* future() -> future, event() -> event */
int future_new(lua_State *L);
int future_new_event(lua_State *L);

#endif
