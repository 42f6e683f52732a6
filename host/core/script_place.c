#include "core/script_place.h"

#include "core/call_frame.h"

#include <lauxlib.h>
#include <stdarg.h>

bool script_place_is_hidden(lua_State *L, const lua_Debug *ar) {
  lua_Debug caller;
  if (*ar->what != 'C') return script_place_is_host(ar);
  if (!ar->name) return true;
  return call_frame_describe(L, call_frame_caller(call_frame_of(ar)), "S", &caller) &&
         script_place_is_host(&caller);
}

bool script_place_find(lua_State *L, int level, lua_Debug *ar) {
  for (; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sl", ar);
    if (ar->currentline > 0 && !script_place_is_host(ar)) return true;
  }
  return false;
}

void script_place_push(lua_State *L) {
  lua_Debug ar;
  if (script_place_find(L, 1, &ar))
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
}

int script_place_error(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  script_place_push(L);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}
