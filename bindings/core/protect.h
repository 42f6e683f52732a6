/* pcall and xpcall that let the task's own cancel through. */
#ifndef ML_PROTECT_H
#define ML_PROTECT_H

#include <lua.h>

/* Replaces the globals. */
void protect_open(lua_State *L);

/* catch(f, ...) -> true, results | false, error: a pcall that also catches the cancel */
int protect_catch(lua_State *L);

#endif
