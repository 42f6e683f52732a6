/* The modules of this folder, as `require` opens them: each is described at the top of its file. */
#ifndef ML_BINDINGS_WEB_OPEN_H
#define ML_BINDINGS_WEB_OPEN_H

#include <lua.h>

int luaopen_moonloop_web_core(lua_State *L);
int luaopen_moonloop_web_conditional(lua_State *L);
int luaopen_moonloop_web_coding(lua_State *L);
int luaopen_moonloop_web_escape(lua_State *L);
int luaopen_moonloop_web_docs_core(lua_State *L);
int luaopen_moonloop_web_files_core(lua_State *L);
int luaopen_moonloop_crypto(lua_State *L);
int luaopen_moonloop_forms(lua_State *L);
int luaopen_moonloop_file_writer(lua_State *L);

#endif
