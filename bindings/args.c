#include "args.h"

#include <lauxlib.h>
#include <math.h>

void args_bad_seconds(lua_State *L, int index, double seconds) {
  luaL_argerror(L, index, isnan(seconds) ? "a time cannot be NaN" : "a time cannot be negative");
}

double args_opt_seconds(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? HUGE_VAL : args_check_seconds(L, index);
}

bool args_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}
