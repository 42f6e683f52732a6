/* Places in scripts: which frames of a stack belong to a script, and which to the host. The names
   of the host's Lua parts begin with SCRIPT_PLACE_HOST. */
#ifndef ML_SCRIPT_PLACE_H
#define ML_SCRIPT_PLACE_H

#include <lua.h>
#include <stdbool.h>
#include <string.h>

#define SCRIPT_PLACE_HOST "=[moonloop]"

/* Is the code at `ar`, read with lua_getinfo "S", one of the host's own Lua parts? */
static inline bool script_place_is_host(const lua_Debug *ar) {
  return *ar->source == *SCRIPT_PLACE_HOST &&
         strncmp(ar->source, SCRIPT_PLACE_HOST, sizeof SCRIPT_PLACE_HOST - 1) == 0;
}

/* Is the frame that was read with "Sln" into `ar` of no interest to users: such a part, or a C
   function that was called by one or has no name? Safe in a signal handler. */
bool script_place_is_hidden(lua_State *L, const lua_Debug *ar);

/* Finds the innermost frame of a script's Lua code from `level` on, and reads it with "Sl". False
   if L is not running any. */
bool script_place_find(lua_State *L, int level, lua_Debug *ar);

/* Pushes "app.lua:12: " for the innermost line of a script that runs in L, or "", as luaL_where
   does if the script itself is the caller. */
void script_place_push(lua_State *L);

/* luaL_error with the line of the script, skipping frames of the host in between. */
int script_place_error(lua_State *L, const char *format, ...);

#endif
