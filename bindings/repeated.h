/* Texts by name where names may repeat, as header lines do. The values of one name become one text
   (RFC 9110 section 5.3), joined at the end: a client may send thousands of them. */
#ifndef ML_REPEATED_H
#define ML_REPEATED_H

#include <lua.h>

/* Adds the value on the top to the list under the name below it, which is made if there is none, in
   the table at `table`; pops both. */
void repeated_add(lua_State *L, int table);

/* Sets the value on the top under the name below it, and pops both, in the table at `table`. The
   slot above the table is nil at first, and for these functions. */
void repeated_set(lua_State *L, int table);

/* Joins what has repeated: with "; " the values of "cookie", others with ", ". That slot, which is
   the top again, is removed. */
void repeated_join(lua_State *L, int table);

#endif
