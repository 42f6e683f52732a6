/* An error value as readable text: in reports, and inside other errors' messages. */
#ifndef ML_ERROR_TEXT_H
#define ML_ERROR_TEXT_H

#include <lauxlib.h>

/* Pushes the value at `index` as text and returns it: the result of its __tostring, or tostring. A
   table without __tostring shows its fields on one line, `{code = 7, message = "boom"}`: strings
   are quoted, keys sorted, and the number of items and bytes is bounded. May run __tostring; if
   that fails, the text says so, or is Lua's message that memory is out. Does not raise. */
const char *error_text_push(lua_State *L, int index);

/* The same, of at most `max` bytes, in whole characters: longer texts end in "...". May raise a
   memory error. */
const char *error_text_push_short(lua_State *L, int index, size_t max);

#endif
