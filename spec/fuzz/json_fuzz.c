/* Fuzzes the JSON codec: what decodes must encode, plain and pretty, and both texts must decode to
   what was there. A refused text must have an error with a position inside the text. */
#include "json/json.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what) {
  fprintf(stderr, "json_fuzz: %s\n", what);
  abort();
}

/* Are the decoded values at the two (absolute) indexes the same, in type, value, mark and shape? */
static bool same(lua_State *L, int a, int b) {
  if (lua_type(L, a) != lua_type(L, b) || lua_isinteger(L, a) != lua_isinteger(L, b)) return false;
  if (lua_type(L, a) == LUA_TNUMBER) {
    lua_Number x = lua_tonumber(L, a), y = lua_tonumber(L, b);
    return lua_rawequal(L, a, b) && memcmp(&x, &y, sizeof x) == 0; /* -0.0 is not 0.0 */
  }
  if (!lua_istable(L, a)) return lua_rawequal(L, a, b);
  if (json_get_mark(L, a) != json_get_mark(L, b)) return false;
  luaL_checkstack(L, 10, NULL);
  long balance = 0;
  for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1)) balance++;
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 2)) {
    balance--;
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    if (!same(L, lua_gettop(L) - 1, lua_gettop(L))) return false;
  }
  return balance == 0;
}

static void check_encoding(lua_State *L, unsigned flags) {
  Buffer text = {0};
  JsonError error;
  int top = lua_gettop(L);
  if (!json_encode(L, top, &text, flags, &error)) die(error.message);
  if (lua_gettop(L) != top) die("encode left something on the stack");
  if (!json_decode(L, text.data, text.len, &error)) die(error.message);
  if (!same(L, top, top + 1)) die("the value changed on its way");
  lua_pop(L, 1);
  buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = luaL_newstate();
  JsonError error = {0};
  char *text = malloc(size); /* of this very size, so that reading past the end is seen */
  if (size) memcpy(text, data, size);
  if (json_decode(L, text, size, &error)) {
    if (lua_gettop(L) != 1) die("decode left something on the stack");
    check_encoding(L, 0);
    check_encoding(L, JSON_PRETTY);
  } else {
    if (lua_gettop(L) != 0) die("a failed decode left something on the stack");
    if (error.line < 1 || error.column < 1 || error.column > size + 1) die("no position");
    if (!error.message[0]) die("no message");
  }
  free(text);
  lua_close(L);
  return 0;
}
