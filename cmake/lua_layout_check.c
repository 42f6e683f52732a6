/* Exit status 0: Lua's arrays and frames are laid out as host/base/array_part.h and
   host/core/call_frame.h say. */
#include "../host/base/array_part.c"
#include "core/call_frame.h"

#include <lauxlib.h>
#include <string.h>

/* Does the slot have the number, as the list at the top of L has it? */
static int has_number(const ArraySlot *slot, uint8_t tag, const void *number) {
  return slot->tag == tag && memcmp(&slot->bits, number, sizeof slot->bits) == 0;
}

/* Returns 0, or what is otherwise. */
static int check_array(lua_State *L) {
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

/* Calls itself until its argument is 0. Then it returns 0, or what is otherwise of the frames. */
static int check_frames(lua_State *L) {
  lua_Integer depth = lua_tointeger(L, 1);
  if (depth > 0) {
    lua_pushcfunction(L, check_frames);
    lua_pushinteger(L, depth - 1);
    lua_call(L, 1, 1);
    return 1;
  }
  int level = 0, fault = 5;
  CallFrame *frame = call_frame_at(L, 0);
  while (frame && frame == call_frame_at(L, level)) {
    frame = call_frame_caller(frame);
    level++;
  }
  if (!frame && level == 4 && !call_frame_at(L, level)) fault = 0;
  lua_pushinteger(L, fault);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  int fault = check_array(L);
  if (fault) return fault;
  lua_pushcfunction(L, check_frames);
  lua_pushinteger(L, 3);
  lua_call(L, 1, 1);
  return (int)lua_tointeger(L, -1);
}
