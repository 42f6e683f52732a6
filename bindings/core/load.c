/* load: like Lua's own, with one difference. If the function that it reads from raises, the
   surrounding message handlers are called with the error; load then returns the error, so it counts
   as caught. */
#include "bindings/core/load.h"

#include "core/task.h"
#include "core/traceback.h"

#include <lauxlib.h>

#define ENVIRONMENT 4
#define PIECE 5 /* the text that is being read: the collector must not take it */

static const char *read_piece(lua_State *L, void *data, size_t *size) {
  (void)data;
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    *size = 0;
    return NULL;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, PIECE);
  return lua_tolstring(L, PIECE, size);
}

/* load(chunk [, chunkname [, mode [, env]]]) -> function | nil, error */
static int l_load(lua_State *L) {
  size_t size;
  const char *text = lua_tolstring(L, 1, &size);
  const char *mode = luaL_optstring(L, 3, "bt");
  bool has_environment = !lua_isnone(L, ENVIRONMENT);
  int status;
  if (text) {
    status = luaL_loadbufferx(L, text, size, luaL_optstring(L, 2, text), mode);
  } else {
    const char *name = luaL_optstring(L, 2, "=(load)");
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, PIECE);
    status = lua_load(L, read_piece, NULL, name, mode);
  }
  if (status != LUA_OK) {
    Task *t = task_current(L);
    if (t) traceback_caught_other(L, t);
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_environment) {
    lua_pushvalue(L, ENVIRONMENT);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

void load_open(lua_State *L) {
  lua_pushcfunction(L, l_load);
  lua_setglobal(L, "load");
}
