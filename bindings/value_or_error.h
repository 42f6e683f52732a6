/* How functions of scripts return what may have failed. */
#ifndef ML_VALUE_OR_ERROR_H
#define ML_VALUE_OR_ERROR_H

#include <lua.h>
#include <stdbool.h>

/* The value, or (`ok` is false) the error, is on the top: makes that `value`, or `nil, error`.
   Returns the number of results, for the C function that is over: `return value_or_error(L, ok);`
 */
static inline int value_or_error(lua_State *L, bool ok) {
  if (ok) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

#endif
