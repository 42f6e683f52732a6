/* Lua's own functions for files, in a program that has an app inside (base/archive.h). */
#ifndef ML_ARCHIVED_H
#define ML_ARCHIVED_H

#include <lua.h>

/* In such a program io.open, io.lines, loadfile, dofile, package.searchpath and require look inside
   first. In moonloop itself nothing changes. */
void archived_open(lua_State *L);

#endif
