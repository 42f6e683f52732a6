/* debug.sethook and debug.gethook: like Lua's own, with one difference: a hook of the main task
   applies to all tasks (user_hook.h). */
#include "bindings/core/debug_hook.h"

#include "core/interrupt.h"
#include "core/user_hook.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* The thread in question: the first argument if it is a thread (`*arg` is then 1), else the caller
   (0). */
static lua_State *thread_arg(lua_State *L, int *arg) {
  lua_State *of = lua_tothread(L, 1);
  *arg = of != NULL;
  return of ? of : L;
}

static int to_mask(const char *text, int count) {
  return (strchr(text, 'c') ? LUA_MASKCALL : 0) | (strchr(text, 'r') ? LUA_MASKRET : 0) |
         (strchr(text, 'l') ? LUA_MASKLINE : 0) | (count > 0 ? LUA_MASKCOUNT : 0);
}

/* debug.sethook([thread,] hook, mask [, count]), debug.sethook([thread]) */
static int l_debug_hook_set(lua_State *L) {
  int arg, mask = 0, count = 0;
  lua_State *of = thread_arg(L, &arg);
  if (lua_isnoneornil(L, arg + 1)) {
    lua_settop(L, arg + 1);
  } else {
    const char *text = luaL_checkstring(L, arg + 2);
    luaL_checktype(L, arg + 1, LUA_TFUNCTION);
    count = (int)luaL_optinteger(L, arg + 3, 0);
    mask = to_mask(text, count);
  }
  lua_settop(L, arg + 1);
  user_hook_set(L, of, mask, count);
  return 0;
}

/* debug.gethook([thread]) -> hook, mask, count | nil */
static int l_debug_hook_get(lua_State *L) {
  int arg;
  lua_State *of = thread_arg(L, &arg);
  UserHook user = user_hook_get(L, of);
  if (!user.mask && interrupt_has_foreign_hook(of)) {
    lua_pushliteral(L, "external hook");
    user.mask = lua_gethookmask(of);
    user.count = lua_gethookcount(of);
  } else if (!user.mask) {
    return 1; /* nil */
  }
  char text[4], *end = text;
  if (user.mask & LUA_MASKCALL) *end++ = 'c';
  if (user.mask & LUA_MASKRET) *end++ = 'r';
  if (user.mask & LUA_MASKLINE) *end++ = 'l';
  lua_pushlstring(L, text, (size_t)(end - text));
  lua_pushinteger(L, user.count);
  return 3;
}

void debug_hook_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sethook", l_debug_hook_set}, {"gethook", l_debug_hook_get}, {NULL, NULL}};
  lua_getglobal(L, LUA_DBLIBNAME);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
