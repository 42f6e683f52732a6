/* moonloop.fs.core */
#ifndef ML_FS_OPEN_H
#define ML_FS_OPEN_H

#include <lua.h>

int luaopen_moonloop_fs_core(lua_State *L);

#endif
