/* Lists that know their number of items, including holes: in their field `n`, which pairs skips. In
   JSON they are arrays with null for holes. */
#ifndef ML_COUNTED_LIST_H
#define ML_COUNTED_LIST_H

#include <lua.h>
#include <stdbool.h>

/* Pushes their metatable. */
void counted_list_push_class(lua_State *L);

/* Is the value at `index` such a list, with only items and `n` in it? Sets `*n` if so. Does not
   raise. */
bool counted_list_is(lua_State *L, int index, lua_Integer *n);

/* Is its metatable the one of such lists? */
bool counted_list_has_class(lua_State *L, int index);

#endif
