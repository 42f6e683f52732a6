/* moonloop.web.escape */
#include "bindings/check.h"
#include "bindings/web/open.h"

#include <lauxlib.h>

static const char *entity(char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  default:
    return NULL;
  }
}

/* Leaves the escaped text of the string at index 1. */
static int push_escaped(lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, 1, &len), *end = text + len, *done = text;
  luaL_Buffer out;
  for (const char *at = text; at < end; at++) {
    const char *instead = entity(*at);
    if (!instead) continue;
    if (done == text) luaL_buffinit(L, &out);
    luaL_addlstring(&out, done, (size_t)(at - done));
    luaL_addstring(&out, instead);
    done = at + 1;
  }
  if (done == text) { /* most texts are as they are */
    lua_settop(L, 1);
    return 1;
  }
  luaL_addlstring(&out, done, (size_t)(end - done));
  luaL_pushresult(&out);
  return 1;
}

/* escape(text) -> the text as HTML has it, in an element or in the quotes of an attribute */
static int l_escape(lua_State *L) {
  check_string(L, 1);
  return push_escaped(L);
}

/* The function that `escaper` makes: values that are not text go to its upvalue. */
static int l_escape_value(lua_State *L) {
  int type = lua_type(L, 1);
  if (type == LUA_TSTRING) return push_escaped(L);
  if (type == LUA_TNUMBER) {
    luaL_tolstring(L, 1, NULL);
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* escaper(f) -> a function that escapes texts and numbers, and returns f(value) for other values */
static int l_escaper(lua_State *L) {
  check_type(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, l_escape_value, 1);
  return 1;
}

int luaopen_moonloop_web_escape(lua_State *L) {
  static const luaL_Reg functions[] = {{"escape", l_escape}, {"escaper", l_escaper}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
