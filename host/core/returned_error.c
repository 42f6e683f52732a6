#include "core/returned_error.h"

#include "core/runtime.h"
#include "core/script_place.h"

#include <lauxlib.h>

enum { PLACE_FUNCTION = 1, PLACE_THREAD };

void returned_error_open(lua_State *L) {
  ReturnedError *part = &runtime_of(L)->returned_error;
  lua_pushboolean(L, false);
  part->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_createtable(L, PLACE_THREAD, 0);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  part->place_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void returned_error_note(lua_State *L, int index) {
  const ReturnedError *part = &runtime_of(L)->returned_error;
  lua_Debug ar;
  if (!script_place_find(L, 0, &ar) || !lua_checkstack(L, 3)) return;
  lua_pushvalue(L, index);
  lua_rawseti(L, LUA_REGISTRYINDEX, part->error_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, part->place_ref);
  lua_getinfo(L, "f", &ar);
  lua_rawseti(L, -2, PLACE_FUNCTION);
  lua_pushthread(L);
  lua_rawseti(L, -2, PLACE_THREAD);
  lua_pop(L, 1);
}

void returned_error_push(lua_State *L, int index) {
  const ReturnedError *part = &runtime_of(L)->returned_error;
  index = lua_absindex(L, index);
  int top = lua_gettop(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, part->place_ref);
  lua_rawgeti(L, -1, PLACE_FUNCTION);
  lua_rawgeti(L, -2, PLACE_THREAD);
  lua_pushthread(L);
  bool same = lua_rawequal(L, -3, index) && lua_rawequal(L, -2, -1);
  lua_settop(L, top);
  if (same)
    lua_rawgeti(L, LUA_REGISTRYINDEX, part->error_ref);
  else
    lua_pushnil(L);
}
