/* The one error that several failures of a group become. */
#ifndef ML_GROUP_ERROR_H
#define ML_GROUP_ERROR_H

#include <lua.h>

/* Raises an error of kind "group" whose `errors` is the list at `errors`, of `count` values. The
   list at `origins` has the origin (origin.h) of each, or false. */
int group_error_raise(lua_State *L, int errors, int origins, int count);

#endif
