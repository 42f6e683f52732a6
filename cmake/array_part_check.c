/* Exit status 0: Lua's arrays are laid out as host/base/array_part.h says. */
#include "../host/base/array_part.c"

#include <lauxlib.h>
#include <string.h>

/* Does the slot have the number, as the list at the top of L has it? */
static int has_number(const ArraySlot *slot, uint8_t tag, const void *number) {
  return slot->tag == tag && memcmp(&slot->bits, number, sizeof slot->bits) == 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  lua_createtable(L, 3, 0);
  lua_Integer integer = 0x123456789abcdef;
  lua_Number number = -0.1, again = 12345.678;
  lua_pushinteger(L, integer);
  lua_rawseti(L, -2, 1);
  lua_pushnumber(L, number);
  lua_rawseti(L, -2, 2);
  size_t size = 0;
  ArraySlot *slots = array_part(L, -1, &size);
  if (!slots || size != 3) return 1;
  if (!has_number(&slots[0], ARRAY_INTEGER, &integer)) return 2;
  if (!has_number(&slots[1], ARRAY_FLOAT, &number)) return 3;
  memcpy(&slots[2].bits, &again, sizeof again);
  slots[2].tag = ARRAY_FLOAT;
  lua_rawgeti(L, -1, 3);
  return lua_isinteger(L, -1) || lua_tonumber(L, -1) != again ? 4 : 0;
}
