#include "bindings/core/explain.h"

#include "core/runtime.h"

#include <string.h>

static const char notes_key; /* its address is the registry's key of the module's function */

/* (message) -> text | nil. Protected. */
static int l_explain(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &notes_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, "moonloop.core.notes");
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &notes_key);
  }
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static void explain(lua_State *L, int index) {
  const char *message = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  if (!strstr(message, "a nil value") || !lua_checkstack(L, LUA_MINSTACK)) {
    lua_pushnil(L);
    return;
  }
  lua_pushcfunction(L, l_explain);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

void explain_open(lua_State *L) { runtime_of(L)->tracebacks.explain = explain; }
