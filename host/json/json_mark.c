/* JSON features that Lua lacks: null, and the difference between an empty array and an empty
   object. */
#include "json/json.h"

/* Only their addresses count: null's, and the registry keys of the two metatables. */
static const char null_tag, array_key, object_key;

void json_push_null(lua_State *L) { lua_pushlightuserdata(L, (void *)&null_tag); }

bool json_is_null(lua_State *L, int index) {
  return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &null_tag;
}

void json_push_mark(lua_State *L, JsonMark mark) {
  const char *key = mark == JSON_ARRAY ? &array_key : &object_key;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mark == JSON_ARRAY ? "json array" : "json object");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void json_set_mark(lua_State *L, int index, JsonMark mark) {
  index = lua_absindex(L, index);
  if (mark == JSON_UNMARKED)
    lua_pushnil(L);
  else
    json_push_mark(L, mark);
  lua_setmetatable(L, index);
}

const void *json_mark_pointer(lua_State *L, JsonMark mark) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, mark == JSON_ARRAY ? &array_key : &object_key);
  const void *pointer = lua_topointer(L, -1);
  lua_pop(L, 1);
  return pointer;
}

void json_mark_class(lua_State *L) {
  lua_pushboolean(L, true);
  lua_rawsetp(L, -2, &array_key);
}

JsonMark json_get_mark(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return JSON_UNMARKED;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &object_key);
  JsonMark mark = lua_rawequal(L, -3, -2)   ? JSON_ARRAY
                  : lua_rawequal(L, -3, -1) ? JSON_OBJECT
                                            : JSON_UNMARKED;
  lua_pop(L, 2);
  if (mark == JSON_UNMARKED) {
    if (lua_rawgetp(L, -1, &array_key) == LUA_TBOOLEAN) mark = JSON_ARRAY;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return mark;
}
