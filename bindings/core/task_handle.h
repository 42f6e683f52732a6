/* Task handles, as scripts see them. */
#ifndef ML_TASK_HANDLE_H
#define ML_TASK_HANDLE_H

#include <lua.h>

/* Makes their metatable. */
void task_handle_open(lua_State *L);

#endif
