/* An error value as text for people: in reports, and inside other errors' messages. */
#ifndef ML_ERROR_TEXT_H
#define ML_ERROR_TEXT_H

#include <lauxlib.h>

/* Pushes the value at `index` as text and returns it: what its __tostring says, or tostring; a
   table that does not say how shows its fields on one line, `{code = 7, message = "boom"}`: strings
   in quotes and by key, numbers of items and bytes bounded. May run __tostring; that it failed is
   the text then, and where memory is out Lua's message of that. Raises nothing. */
const char *error_push_text(lua_State *L, int index);

#endif
