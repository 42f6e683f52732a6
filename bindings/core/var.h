/* Values that belong to a task and are inherited by the tasks it starts. */
#ifndef ML_VAR_H
#define ML_VAR_H

#include <lua.h>

/* var(name [, default]) -> var */
int var_new(lua_State *L);

/* vars() -> values | nil, set_vars(values | nil): all of a task's, to hand them on to another. */
int var_all(lua_State *L);
int var_set_all(lua_State *L);

#endif
