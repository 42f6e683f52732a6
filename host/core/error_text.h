/* An error value as readable text: in reports, and inside other errors' messages. */
#ifndef ML_ERROR_TEXT_H
#define ML_ERROR_TEXT_H

#include <lauxlib.h>
#include <stdbool.h>

/* Pushes the value at `index` as text and returns it: the result of its __tostring, or tostring. A
   table without __tostring shows its fields on one line, `{code = 7, message = "boom"}`: strings
   are quoted, keys sorted, and the number of items and bytes is bounded. May run __tostring; if
   that fails, the text says so, or is Lua's message that memory is out. Does not raise. */
const char *error_text_push(lua_State *L, int index);

/* The same, of at most `max` bytes, in whole characters: longer texts end in "...". May raise a
   memory error. */
const char *error_text_push_short(lua_State *L, int index, size_t max);

/* Pushes the texts of the causes of the error at `index`, which a circle cannot make endless, as
   one text; false, and nothing is pushed, if it has none. May raise a memory error. */
bool error_text_push_causes(lua_State *L, int index);

#endif
