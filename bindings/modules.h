/* The Lua-facing modules of the host. */
#ifndef ML_MODULES_H
#define ML_MODULES_H

#include <lauxlib.h>

/* Replaces what must be able to suspend in the standard library, and preloads the host's modules:
   the C ones below and the Lua parts embedded in the binary. Called once a state. */
void modules_open(lua_State *L);

/* bindings/coroutine.c: pass-through coroutine.* */
void coroutine_open(lua_State *L);
/* bindings/protect.c: pcall and xpcall that let the own cancel through */
void protect_open(lua_State *L);
/* bindings/task.c: the methods of task handles */
void task_open(lua_State *L);

/* Makes the metatable `name`, if the state has none of that name: __index is a table of `methods`,
   __gc and __close are the functions `gc` and `close`, where they are not NULL. */
void modules_make_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                        lua_CFunction close);

/* The same, and gives it to the userdata on the top of L. */
void modules_set_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                       lua_CFunction close);

/* Makes f the field `name` of the table on the top of L. Its upvalue 1 is a userdata with one
   pointer, NULL at first, that lives until the state is closed, whatever becomes of the table; `gc`
   gets it then. */
void modules_set_with_place(lua_State *L, const char *name, lua_CFunction f, lua_CFunction gc);

/* bindings/scope.c: timeout(seconds, f, ...), shield(f, ...), deadline(seconds) */
int scope_timeout(lua_State *L);
int scope_shield(lua_State *L);
int scope_deadline(lua_State *L);
/* catch(f, ...) -> true, results | false, error: pcall that stops a cancel too (bindings/protect.c)
 */
int protect_catch(lua_State *L);
/* bindings/future.c, semaphore.c, queue.c, var.c, group.c: their constructors */
int future_new(lua_State *L);
int event_new(lua_State *L);
int semaphore_new(lua_State *L);
int lock_new(lua_State *L);
int queue_new(lua_State *L);
int var_new(lua_State *L);
int group_new(lua_State *L);
/* group_run(f) -> f's results: ml.group(function(g) ... end) */
int group_run(lua_State *L);

/* completions(tasks, n) -> completions (bindings/completions.c) */
int completions_new(lua_State *L);

/* gate() -> gate (bindings/gate.c) */
int gate_new(lua_State *L);

/* The modules in C, as `require` opens them: each is described at the top of its file. */
int luaopen_moonloop_core(lua_State *L);
int luaopen_moonloop_json(lua_State *L);
int luaopen_moonloop_executor_core(lua_State *L);
int luaopen_moonloop_clock(lua_State *L);
int luaopen_moonloop_inspect(lua_State *L);
int luaopen_moonloop_signals(lua_State *L);
int luaopen_moonloop_supervised(lua_State *L);
int luaopen_moonloop_web_core(lua_State *L);
int luaopen_moonloop_web_conditional(lua_State *L);
int luaopen_moonloop_web_coding(lua_State *L);
int luaopen_moonloop_web_files_core(lua_State *L);
int luaopen_moonloop_terminal(lua_State *L);
int luaopen_moonloop_http_core(lua_State *L);
int luaopen_moonloop_http_plain(lua_State *L);
int luaopen_moonloop_crypto(lua_State *L);
int luaopen_moonloop_forms(lua_State *L);
int luaopen_moonloop_file_writer(lua_State *L);

#endif
