/* hooks: a hook that a C module sets by itself, as a profiler does. */
#include <lauxlib.h>
#include <string.h>

static int events[5];

static void count_event(lua_State *L, lua_Debug *ar) {
  (void)L;
  events[ar->event]++;
}

/* start(calls, lines): counts from now on, in this coroutine, calls and returns, and lines */
static int l_start(lua_State *L) {
  int mask = (lua_toboolean(L, 1) ? LUA_MASKCALL | LUA_MASKRET : 0) |
             (lua_toboolean(L, 2) ? LUA_MASKLINE : 0);
  memset(events, 0, sizeof events);
  lua_sethook(L, count_event, mask, 0);
  return 0;
}

/* stop() -> calls, returns, lines */
static int l_stop(lua_State *L) {
  lua_sethook(L, NULL, 0, 0);
  lua_pushinteger(L, events[LUA_HOOKCALL] + events[LUA_HOOKTAILCALL]);
  lua_pushinteger(L, events[LUA_HOOKRET]);
  lua_pushinteger(L, events[LUA_HOOKLINE]);
  return 3;
}

int luaopen_hooks(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", l_start}, {"stop", l_stop}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
