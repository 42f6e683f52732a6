/* Tracebacks as Lua writes them, without the host's own frames. Of the host's frames between two of
   a script, only the function that the script called is shown, by its public name.
   MOONLOOP_TRACEBACK=full in the environment shows all. */
#ifndef ML_STACK_TEXT_H
#define ML_STACK_TEXT_H

#include <lua.h>
#include <stdbool.h>

/* Does the environment ask for all frames? */
bool stack_text_wants_all(void);

/* Pushes on L the traceback of `of` from `level` on, as luaL_traceback(L, of, NULL, level) does.
   False if it has no relevant frame, only the first line. */
bool stack_text_push(lua_State *L, lua_State *of, int level);

#endif
