#include "bindings/core/raised.h"

#include "core/runtime.h"

#include <lauxlib.h>

static const char listener_key; /* its address is the registry's key of the function */

/* Its frames take stack that an overflow may have used up: then there is nothing to see. */
static void on_raised(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &listener_key);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

int raised_listen(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  runtime_of(L)->tracebacks.raised = lua_isnil(L, 1) ? NULL : on_raised;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &listener_key);
  return 0;
}
