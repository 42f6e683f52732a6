/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_SQL_OPEN_H
#define ML_SQL_OPEN_H

#include <lua.h>

int luaopen_moonloop_sql_value(lua_State *L);
int luaopen_moonloop_sql_sqlite(lua_State *L);
int luaopen_moonloop_sql_pg(lua_State *L);

#endif
