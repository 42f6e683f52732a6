/* How databases cross to other Lua states: as what they were opened with. */
#ifndef ML_SQL_TRANSFER_H
#define ML_SQL_TRANSFER_H

#include <lua.h>

/* Lets the databases of a driver cross. `class` is their metatable's registered name, which begins
   with the name of the driver's module. */
void sql_transfer_register(lua_State *L, const char *class);

#endif
