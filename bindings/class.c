#include "bindings/class.h"

#include <string.h>

void class_make(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
                lua_CFunction close) {
  if (luaL_newmetatable(L, name)) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (gc) {
      lua_pushcfunction(L, gc);
      lua_setfield(L, -2, "__gc");
    }
    if (close) {
      lua_pushcfunction(L, close);
      lua_setfield(L, -2, "__close");
    }
  }
  lua_pop(L, 1);
}

void class_set(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc,
               lua_CFunction close) {
  class_make(L, name, methods, gc, close);
  luaL_setmetatable(L, name);
}

void class_set_tag(lua_State *L, const char *name, const void *tag) {
  luaL_getmetatable(L, name);
  lua_pushlightuserdata(L, (void *)tag);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

const void *class_tag_of(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
  lua_rawgeti(L, -1, 1);
  const void *tag = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return tag;
}

void class_set_with_place(lua_State *L, const char *name, lua_CFunction f, lua_CFunction gc) {
  void *place = lua_newuserdatauv(L, sizeof(void *), 0);
  memset(place, 0, sizeof(void *));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, place);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}
