/* Parameters that a statement names, in a table. */
#ifndef ML_SQL_NAMES_H
#define ML_SQL_NAMES_H

#include <lua.h>
#include <stdbool.h>

/* Is every key of the table one of the `n` names, whose list is at `names`? A name without a value
   is NULL. False: pushes what is wrong. */
bool sql_names_check(lua_State *L, unsigned n, int table, int names);

#endif
