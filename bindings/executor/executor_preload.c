/* The modules of package.preload that can be passed on to workers. */
#include "bindings/executor/executor.h"
#include "transfer/transfer.h"

#include <lauxlib.h>

/* Can the value on the top of L cross? */
static bool can_cross(lua_State *L) {
  TransferMessage message = {0};
  bool crosses = transfer_pack(L, lua_gettop(L), 1, "a preload", &message);
  if (!crosses) lua_pop(L, 1); /* the reason */
  transfer_free(&message);
  return crosses;
}

bool executor_push_preload(lua_State *L) {
  int top = lua_gettop(L);
  bool any = false;
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushnil(L);
  while (lua_next(L, top + 2)) {
    /* the host's own are C functions */
    if (lua_type(L, -2) == LUA_TSTRING && !lua_iscfunction(L, -1) && can_cross(L)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, top + 1);
      any = true;
    } else {
      lua_pop(L, 1);
    }
  }
  lua_settop(L, any ? top + 1 : top);
  return any;
}
