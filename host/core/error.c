#include "core/error.h"

#include "core/returned_error.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void push_v(lua_State *L, const char *kind, const char *code, const char *format,
                   va_list args) {
  char text[512];
  vsnprintf(text, sizeof text, format, args);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, text);
  lua_setfield(L, -2, "message");
  if (code) {
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
  }
  error_set_metatable(L);
}

void ml_error_push(lua_State *L, const char *kind, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_v(L, kind, code, format, args);
  va_end(args);
}

int ml_error_return(lua_State *L, const char *kind, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushnil(L);
  push_v(L, kind, code, format, args);
  va_end(args);
  returned_error_note(L, -1);
  return 2;
}

int ml_error_raise(lua_State *L, const char *kind, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_v(L, kind, code, format, args);
  va_end(args);
  return lua_error(L);
}

bool error_is(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, ERROR_METATABLE);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

void error_set_metatable(lua_State *L) { luaL_setmetatable(L, ERROR_METATABLE); }

static void push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

/* "kind: message (CODE)" */
static int l_error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_field(L, 1, "kind");
  push_field(L, 1, "message");
  push_field(L, 1, "code");
  const char *kind = lua_isstring(L, 2) ? lua_tostring(L, 2) : "error";
  const char *message = lua_isstring(L, 3) ? lua_tostring(L, 3) : "no message";
  if (lua_isstring(L, 4))
    lua_pushfstring(L, "%s: %s (%s)", kind, message, lua_tostring(L, 4));
  else
    lua_pushfstring(L, "%s: %s", kind, message);
  return 1;
}

/* `err.value` is the raised value: the error object itself. */
static int l_error_index(lua_State *L) {
  const char *key = lua_tostring(L, 2);
  if (key && lua_type(L, 2) == LUA_TSTRING && strcmp(key, "value") == 0)
    lua_pushvalue(L, 1);
  else
    lua_pushnil(L);
  return 1;
}

void error_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"__tostring", l_error_tostring}, {"__index", l_error_index}, {NULL, NULL}};
  luaL_newmetatable(L, ERROR_METATABLE);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
}
