#include "core/origin.h"

#include <lauxlib.h>

/* An origin that is a list: {text, the next origin, the last text, the number of texts}. */
enum { ORIGIN_TEXT = 1, ORIGIN_NEXT, ORIGIN_LAST, ORIGIN_COUNT };

/* Texts of a list that are shown besides the last one. */
#define SHOWN 10

lua_Integer origin_length(lua_State *L, int index) {
  if (!lua_istable(L, index)) return lua_isstring(L, index);
  lua_rawgeti(L, index, ORIGIN_COUNT);
  lua_Integer count = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return count;
}

void origin_list(lua_State *L) {
  int next = lua_gettop(L), text = next - 1, last = next + 1;
  lua_Integer count = origin_length(L, next) + 1;
  if (lua_istable(L, next))
    lua_rawgeti(L, next, ORIGIN_LAST);
  else
    lua_pushvalue(L, next);
  lua_createtable(L, ORIGIN_COUNT, 0);
  lua_pushvalue(L, text);
  lua_rawseti(L, -2, ORIGIN_TEXT);
  lua_pushvalue(L, next);
  lua_rawseti(L, -2, ORIGIN_NEXT);
  lua_pushvalue(L, last);
  lua_rawseti(L, -2, ORIGIN_LAST);
  lua_pushinteger(L, count);
  lua_rawseti(L, -2, ORIGIN_COUNT);
  lua_replace(L, text);
  lua_settop(L, text);
}

void origin_prepend(lua_State *L) {
  lua_insert(L, -2); /* the text, the origin */
  if (!lua_istable(L, -1)) {
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_rawgeti(L, -1, ORIGIN_TEXT);
  lua_pushfstring(L, "%s\n%s", lua_tostring(L, -3), lua_tostring(L, -1));
  lua_replace(L, -4);
  lua_pop(L, 1);
  lua_rawgeti(L, -1, ORIGIN_NEXT);
  lua_remove(L, -2);
  origin_list(L);
}

void origin_render(lua_State *L) {
  int list = lua_gettop(L);
  if (!lua_istable(L, list)) return;
  lua_rawgeti(L, list, ORIGIN_LAST);
  lua_rawgeti(L, list, ORIGIN_COUNT);
  lua_Integer left = lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int i = 0; i < SHOWN && left > 1; i++, left--) { /* the buffer may keep a value on the top */
    lua_rawgeti(L, list, ORIGIN_TEXT);
    luaL_addvalue(&text);
    luaL_addchar(&text, '\n');
    lua_rawgeti(L, list, ORIGIN_NEXT);
    lua_replace(L, list);
  }
  if (left > 1) {
    lua_pushfstring(L, "...\t(it came through %I more)\n", (LUAI_UACINT)(left - 1));
    luaL_addvalue(&text);
  }
  lua_pushvalue(L, list + 1);
  luaL_addvalue(&text);
  luaL_pushresult(&text);
  lua_replace(L, list);
  lua_settop(L, list);
}
