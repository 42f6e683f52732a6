/* Origins of errors: tracebacks of other places that the error came through before it was caught
   (another task, a coroutine, a worker). An origin is a text. If the error came through several
   tasks, it is a list, to which each of them adds its own text while sharing the rest with the
   previous one. */
#ifndef ML_ORIGIN_H
#define ML_ORIGIN_H

#include <lua.h>

/* The number of texts of the value at `index`; 0 if it is not an origin. */
lua_Integer origin_length(lua_State *L, int index);

/* Makes one origin from a text, below the top of L, and the origin that follows it, on the top. */
void origin_list(lua_State *L);

/* Merges the text on the top of L (popped) into the beginning of the origin below it: both belong
   to one task. */
void origin_prepend(lua_State *L);

/* Turns the origin on the top of L into a text; other values stay. A long list shows its first
   texts and the last one, where the error was raised. */
void origin_render(lua_State *L);

#endif
