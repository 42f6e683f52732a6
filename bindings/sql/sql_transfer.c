#include "bindings/sql/sql_transfer.h"
#include "transfer/transfer.h"

#include <lauxlib.h>

/* Calls the function of scripts/moonloop/sql/transfer.lua with what is at 1. */
static int call_layer(lua_State *L, const char *name, int results) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.sql.transfer");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_pushvalue(L, 1);
  lua_call(L, 1, results);
  return results;
}

static int l_pack(lua_State *L) { return call_layer(L, "pack", 2); }
static int l_unpack(lua_State *L) { return call_layer(L, "unpack", 1); }

void sql_transfer_register(lua_State *L, const char *class) {
  transfer_register(L, class, l_pack, l_unpack);
}
