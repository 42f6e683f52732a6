/* The Lua-facing modules of the host. */
#ifndef ML_MODULES_H
#define ML_MODULES_H

#include <lua.h>

/* Replaces what must be able to suspend in the standard library, and preloads the host's modules:
   the C ones below and the Lua parts embedded in the binary. Called once a state. */
void modules_open(lua_State *L);

/* bindings/coroutine.c: pass-through coroutine.* */
void coroutine_open(lua_State *L);
/* bindings/protect.c: pcall and xpcall that let the own cancel through */
void protect_open(lua_State *L);
/* bindings/task.c: the methods of task handles */
void task_open(lua_State *L);

/* gate() -> gate (bindings/gate.c) */
int gate_new(lua_State *L);

int luaopen_moonloop_core(lua_State *L);
int luaopen_moonloop_json(lua_State *L);
int luaopen_moonloop_executor_core(lua_State *L);
int luaopen_moonloop_clock(lua_State *L);
int luaopen_moonloop_inspect(lua_State *L);
int luaopen_moonloop_signals(lua_State *L);
int luaopen_moonloop_web_core(lua_State *L);
int luaopen_moonloop_terminal(lua_State *L);
int luaopen_moonloop_http_core(lua_State *L);

#endif
