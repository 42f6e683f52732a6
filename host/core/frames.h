/* Reads the stack of Lua code that does not return, in a signal handler, while a C function runs
   that no hook can interrupt. */
#ifndef ML_FRAMES_H
#define ML_FRAMES_H

#include "base/text.h"
#include "core/names.h"
#include <lua.h>
#include <stdbool.h>

/* Is a C function on top of the stack? Safe in a signal handler of the thread that runs L. */
bool frames_in_c_function(lua_State *L);

/* The C function on top of the stack, or NULL: Lua code runs, or it cannot be told. Safe as above.
   lua_getinfo would push the function, which is not. */
lua_CFunction frames_c_function(lua_State *L);

/* Is this Lua's memory laid out as frames_c_function expects? Calls a function. */
bool frames_can_tell_functions(lua_State *L);

/* Appends "in function 'find', called at app.lua:12" for the frame on top, or for the function of
   the host's that a script has called. */
void frames_add_top(Text *text, lua_State *L);

/* Appends "app.lua:12", where the innermost code of a script is; nothing if there is none. */
void frames_add_place(Text *text, lua_State *L);

/* Appends a line for each frame of what runs now that does not belong to the host, innermost first,
   and then those of the coroutines that have resumed it: at most `max` of each. */
void frames_add_stacks(Text *text, const Runtime *rt, int max);

#endif
