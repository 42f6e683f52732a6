#include "bindings/json/json_limit.h"

#include "bindings/options.h"
#include "core/script_place.h"
#include "json/json.h"

#include <math.h>

uint64_t json_limit_option(lua_State *L, int index, const char *whose) {
  static const char *const names[] = {"max_values"};
  if (lua_isnoneornil(L, index)) return JSON_ANY_VALUES;
  options_check(L, index, whose, names, 1);
  if (lua_getfield(L, index, "max_values") == LUA_TNIL) {
    lua_pop(L, 1);
    return JSON_ANY_VALUES;
  }
  int is_integer;
  lua_Integer most = lua_tointegerx(L, -1, &is_integer);
  bool is_number = lua_type(L, -1) == LUA_TNUMBER;
  bool is_any = is_number && lua_tonumber(L, -1) == HUGE_VAL;
  if (!is_any && (!is_number || !is_integer || most < 1))
    script_place_error(
        L, "option 'max_values' of %s is %s%s (expected an integer from 1, or math.huge)", whose,
        is_number ? "" : "a ", is_number ? lua_tostring(L, -1) : lua_typename(L, lua_type(L, -1)));
  lua_pop(L, 1);
  return is_any ? JSON_ANY_VALUES : (uint64_t)most;
}
