/* Values that cross by name instead of being copied, since the receiver has its own. */
#ifndef ML_TRANSFER_NAMES_H
#define ML_TRANSFER_NAMES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Pushes the table (value -> "module\0field") of what crosses by name in this state. */
void transfer_names_push(lua_State *L);

/* Adds the library modules that were loaded since the table at `names` was made; with `all`, the C
   functions of every loaded module too. */
void transfer_names_refresh(lua_State *L, int names, bool all);

/* Pushes the value called `name`, loading its module if need be. False: there is no such value.
   May raise what the module raises. */
bool transfer_names_push_value(lua_State *L, const char *name, size_t len);

/* Pushes the {pack, unpack} of a registered userdata type. With `load`, loads the module that
   registers it if need be. False, and nothing pushed: not registered. */
bool transfer_names_push_type(lua_State *L, const char *metatable, bool load);

#endif
