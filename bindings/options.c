#include "bindings/options.h"

#include "base/nearest.h"
#include "bindings/check.h"
#include "core/script_place.h"

#include <lauxlib.h>
#include <string.h>

/* Pushes "a, b and c". */
static void push_list(lua_State *L, const char *const *names, size_t n) {
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (size_t i = 0; i < n; i++) {
    if (i) luaL_addstring(&text, i + 1 < n ? ", " : " and ");
    luaL_addstring(&text, names[i]);
  }
  luaL_pushresult(&text);
}

void options_push_unknown(lua_State *L, const char *what, int index, const char *whose,
                          const char *const *names, size_t n) {
  index = lua_absindex(L, index);
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  const char *name = luaL_tolstring(L, index, NULL);
  const char *near = lua_type(L, index) == LUA_TSTRING ? nearest_name(name, names, n) : NULL;
  if (near) {
    lua_pushfstring(L, "unknown %s '%s' of %s (did you mean '%s'?)", what, name, whose, near);
  } else if (n == 0) {
    lua_pushfstring(L, "unknown %s '%s' of %s (known: none)", what, name, whose);
  } else {
    push_list(L, names, n);
    lua_pushfstring(L, "unknown %s '%s' of %s (known: %s)", what, name, whose, lua_tostring(L, -1));
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void options_check(lua_State *L, int index, const char *whose, const char *const *names, size_t n) {
  index = lua_absindex(L, index);
  check_type(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    size_t i = 0;
    while (i < n && !(name && strcmp(name, names[i]) == 0)) i++;
    if (i < n) continue;
    options_push_unknown(L, "option", -2, whose, names, n);
    script_place_error(L, "%s", lua_tostring(L, -1));
  }
}
