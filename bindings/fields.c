#include "bindings/fields.h"

#include <lauxlib.h>
#include <stdint.h>

double fields_number(lua_State *L, int index, const char *name, double otherwise) {
  lua_getfield(L, index, name);
  double value = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return value;
}

size_t fields_size(lua_State *L, int index, const char *name, size_t otherwise) {
  lua_getfield(L, index, name);
  double value = luaL_optnumber(L, -1, -1);
  lua_pop(L, 1);
  if (value < 0) return otherwise;
  return value < 9e15 ? (size_t)value : SIZE_MAX;
}

bool fields_flag(lua_State *L, int index, const char *name, bool otherwise) {
  int type = lua_getfield(L, index, name);
  bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

const char *fields_text(lua_State *L, int index, const char *name, const char *otherwise) {
  lua_getfield(L, index, name);
  const char *text = luaL_optstring(L, -1, otherwise);
  lua_pop(L, 1);
  return text;
}

void fields_set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void fields_set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

void fields_set_flag(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}
