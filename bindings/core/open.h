/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_BINDINGS_CORE_OPEN_H
#define ML_BINDINGS_CORE_OPEN_H

#include <lua.h>

int luaopen_moonloop_core(lua_State *L);
int luaopen_moonloop_clock(lua_State *L);
int luaopen_moonloop_folder(lua_State *L);
int luaopen_moonloop_observed_job(lua_State *L);
int luaopen_moonloop_signal_listener(lua_State *L);
int luaopen_moonloop_signals(lua_State *L);

#endif
