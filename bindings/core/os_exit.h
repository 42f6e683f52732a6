/* os.exit, which ends the program cleanly. */
#ifndef ML_OS_EXIT_H
#define ML_OS_EXIT_H

#include <lua.h>

/* Replaces it. */
void os_exit_open(lua_State *L);

#endif
