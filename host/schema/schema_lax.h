/* Numbers and booleans that are written as text, by Pydantic's lax table. */
#ifndef ML_SCHEMA_LAX_H
#define ML_SCHEMA_LAX_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the integer, the float or the boolean that the value at `index` stands for, and returns
   NULL; or pushes nothing and returns the type of the error. */
const char *schema_lax_integer(lua_State *L, int index);
const char *schema_lax_number(lua_State *L, int index);
const char *schema_lax_boolean(lua_State *L, int index);

#endif
