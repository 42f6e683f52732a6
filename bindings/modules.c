#include "modules.h"

#include "embedded.h"
#include "task.h"

#include <lauxlib.h>
#include <string.h>

static const luaL_Reg c_modules[] = {
    {"moonloop.core", luaopen_moonloop_core},
    {"moonloop.json", luaopen_moonloop_json},
    {"moonloop.executor.core", luaopen_moonloop_executor_core},
    {"moonloop.clock", luaopen_moonloop_clock},
    {"moonloop.inspect", luaopen_moonloop_inspect},
    {"moonloop.signals", luaopen_moonloop_signals},
    {"moonloop.supervised", luaopen_moonloop_supervised},
    {"moonloop.web.core", luaopen_moonloop_web_core},
    {"moonloop.web.conditional", luaopen_moonloop_web_conditional},
    {"moonloop.web.coding", luaopen_moonloop_web_coding},
    {"moonloop.web.files.core", luaopen_moonloop_web_files_core},
    {"moonloop.terminal", luaopen_moonloop_terminal},
    {"moonloop.http.core", luaopen_moonloop_http_core},
    {"moonloop.http.plain", luaopen_moonloop_http_plain},
    {"moonloop.crypto", luaopen_moonloop_crypto},
    {"moonloop.forms", luaopen_moonloop_forms},
    {"moonloop.file_writer", luaopen_moonloop_file_writer},
    {NULL, NULL},
};

/* Runs an embedded part as `require` would: upvalue 1 is its EmbeddedPart. */
static int load_part(lua_State *L) {
  const EmbeddedPart *part = lua_touserdata(L, lua_upvalueindex(1));
  if (luaL_loadbufferx(L, (const char *)part->source, part->size, part->chunk_name, "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, part->module);
  lua_call(L, 1, 1);
  return 1;
}

/* os.exit([code [, close]]): ends the program in order. Every task, this one too, is cancelled and
   cleans up; then the runtime is closed. Outside of a task it does what Lua's own does. */
static int os_exit(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Task *t = rt->current;
  if (!t) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
  }
  int code = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? 0 : 1) : (int)luaL_optinteger(L, 1, 0);
  if (!rt->stopping) rt->exit_code = code;
  rt->stopping = true;
  CancelCause *cause = cause_new(rt, "os.exit was called");
  if (!cause) return luaL_error(L, "not enough memory");
  task_cancel(t, cause);
  cause_drop(cause);
  CancelCause *pending = scope_pending(t); /* none inside a shield */
  cause_push_error(L, pending ? pending : t->cancelled);
  return lua_error(L); /* pcall lets it through: the code after os.exit does not run */
}

void modules_make_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                        lua_CFunction close) {
  if (luaL_newmetatable(L, name)) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (gc) {
      lua_pushcfunction(L, gc);
      lua_setfield(L, -2, "__gc");
    }
    if (close) {
      lua_pushcfunction(L, close);
      lua_setfield(L, -2, "__close");
    }
  }
  lua_pop(L, 1);
}

void modules_set_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                       lua_CFunction close) {
  modules_make_class(L, name, methods, gc, close);
  luaL_setmetatable(L, name);
}

void modules_set_with_place(lua_State *L, const char *name, lua_CFunction f, lua_CFunction gc) {
  void *place = lua_newuserdatauv(L, sizeof(void *), 0);
  memset(place, 0, sizeof(void *));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, place);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

void modules_open(lua_State *L) {
  coroutine_open(L);
  protect_open(L);
  task_open(L);
  lua_getglobal(L, "os");
  lua_getfield(L, -1, "exit");
  lua_pushcclosure(L, os_exit, 1);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const luaL_Reg *m = c_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  for (const EmbeddedPart *part = embedded_parts; part->module; part++) {
    lua_pushlightuserdata(L, (void *)part);
    lua_pushcclosure(L, load_part, 1);
    lua_setfield(L, -2, part->module);
  }
  lua_pop(L, 1);
  /* `require` is Lua code, so that a module may wait while it is loaded. */
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.require");
  lua_call(L, 1, 1);
  lua_setglobal(L, "require");
}
