/* Arrays as PostgreSQL writes them: "{1,NULL,{\"a b\"}}" (manual, 8.15). */
#ifndef ML_PG_ARRAY_H
#define ML_PG_ARRAY_H

#include "base/buffer.h"

#include <lua.h>

enum { PG_ARRAY_DEPTH = 6 }; /* dimensions, at most */

/* Pushes the list, lists in it for further dimensions; NULL is pg_types_push_null's value. Each
   other element is pushed by `push`. False, and nothing is pushed, where it is no array. */
bool pg_array_push(lua_State *L, const char *bytes, size_t len,
                   void (*push)(lua_State *L, const char *bytes, size_t len, void *data),
                   void *data);

/* Appends an element, with quotes. False when memory is out. */
bool pg_array_add_quoted(Buffer *out, const char *bytes, size_t len);

#endif
