/* Tables of options: the message for an unknown name. */
#ifndef ML_OPTIONS_H
#define ML_OPTIONS_H

#include <lua.h>
#include <stddef.h>

/* Pushes "unknown option 'prety' of ml.json.encode (did you mean 'pretty'?)", or with the known
   names if none is similar. `what` is "option", "field" and the like; the name is the value at
   `index`. */
void options_push_unknown(lua_State *L, const char *what, int index, const char *whose,
                          const char *const *names, size_t n);

/* Raises for the first key of the table at `index` that is not one of the `n` names. A value that
   is not a table is a bad argument. */
void options_check(lua_State *L, int index, const char *whose, const char *const *names, size_t n);

#endif
