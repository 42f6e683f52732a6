/* Tables that do not keep their keys alive, for data about a value that lasts as long as the
   value. */
#ifndef ML_WEAK_KEYS_H
#define ML_WEAK_KEYS_H

#include <lua.h>
#include <stdbool.h>

/* Gives the table on the top of L weak keys. May raise a memory error. */
void weak_keys_set(lua_State *L);

/* Pushes the table with weak keys that the registry has under the address `key`. The first call
   makes it and returns true. May raise a memory error. */
bool weak_keys_push(lua_State *L, const void *key);

#endif
