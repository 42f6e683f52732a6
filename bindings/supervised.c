/* moonloop.supervised: a worker process and its supervisor, for `moonloop serve`. */
#include "supervised.h"
#include "modules.h"

#include <limits.h>
#include <stdlib.h>

static const Supervised *check_supervised(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  const Supervised *s = lua_touserdata(L, -1);
  if (!s) luaL_error(L, "this process has no supervisor");
  return s;
}

/* number() -> the number of this worker process, from 1 | nil: it is none */
static int l_number(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  const Supervised *s = lua_touserdata(L, -1);
  if (!s) return 0;
  lua_pushinteger(L, s->number);
  return 1;
}

/* loads(path): the supervisor is to know that the code is in that file, too. */
static int l_loads(lua_State *L) {
  char path[PATH_MAX];
  const char *name = luaL_checkstring(L, 1);
  if (realpath(name, path)) supervised_say(check_supervised(L), SUPERVISED_FILE, path);
  return 0;
}

/* ready(drain): this worker serves; it takes `drain` seconds at most to end in order. */
static int l_ready(lua_State *L) {
  char drain[40];
  lua_Number seconds = luaL_checknumber(L, 1);
  snprintf(drain, sizeof drain, "%.15g", seconds);
  supervised_say(check_supervised(L), SUPERVISED_READY, drain);
  return 0;
}

int luaopen_moonloop_supervised(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"number", l_number}, {"loads", l_loads}, {"ready", l_ready}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
