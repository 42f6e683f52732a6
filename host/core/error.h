/* Error objects: tables with a metatable, `kind`, `message`, and optionally `code`. The functions
   that make them are declared in moonloop.h. */
#ifndef ML_ERROR_H
#define ML_ERROR_H

#include "moonloop.h"

#define ERROR_METATABLE "moonloop.error"

/* Is the value at `index` an error object? */
bool error_is(lua_State *L, int index);

/* Gives the table on the top of L the error metatable. */
void error_set_metatable(lua_State *L);

/* Creates the metatable (called once per state). */
void error_open(lua_State *L);

#endif
