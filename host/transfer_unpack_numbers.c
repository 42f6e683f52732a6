/* Unpacking lists of numbers: where a message is large, it is mostly these. */
#include "transfer_unpack.h"

/* A list of this many numbers or more is made by a table constructor, which is the fastest way
   to fill a table; of more than that many one by one: the stack has its limits. */
#define FEW_NUMBERS 64u
#define MANY_NUMBERS 150000u

static const char list_maker_key; /* its address is the registry's key of that function */

static inline lua_Integer integer_at(const char *at) {
  lua_Integer value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline lua_Number number_at(const char *at) {
  lua_Number value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Reads the head of a run of numbers, of at most `max`, and returns its numbers. */
static const char *take_run(lua_State *L, Unpacker *u, uint32_t max, uint32_t *count) {
  u->at++;
  UNPACK_TAKE(uint32_t, n);
  if (n == 0 || n > max) unpack_damaged(L, u);
  *count = n;
  return unpack_take(L, u, (size_t)n * sizeof(lua_Integer));
}

/* A run of numbers of one kind that becomes a table. */
typedef struct Numbers {
  bool integers;
  const char *at;
  uint32_t count;
} Numbers;

/* (Numbers as light userdata) -> the numbers, nil. The nil gives the list room for one more, by
   which packing it again finds that it is in the array part (transfer_pack_table.c). */
static int l_push_numbers(lua_State *L) {
  const Numbers *numbers = lua_touserdata(L, 1);
  const char *at = numbers->at, *end = at + (size_t)numbers->count * sizeof(lua_Integer);
  luaL_checkstack(L, (int)numbers->count + 1, "a list too long");
  if (numbers->integers) {
    for (; at < end; at += sizeof(lua_Integer)) lua_pushinteger(L, integer_at(at));
  } else {
    for (; at < end; at += sizeof(lua_Number)) lua_pushnumber(L, number_at(at));
  }
  lua_pushnil(L);
  return (int)numbers->count + 1;
}

/* Pushes a list of the numbers. Lua's table constructor fills it in one go, where lua_rawseti looks
   for the place of each. False: there is no room for them on the stack, and nothing was pushed. */
static bool push_list(lua_State *L, Numbers *numbers) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &list_maker_key) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    if (luaL_loadstring(L, "local push, numbers = ... return {push(numbers)}") != LUA_OK)
      lua_error(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_maker_key);
  }
  lua_pushcfunction(L, l_push_numbers);
  lua_pushlightuserdata(L, numbers);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

bool unpack_push_if_numbers(lua_State *L, Unpacker *u, uint32_t items, uint32_t pairs) {
  if (pairs || items < FEW_NUMBERS || items > MANY_NUMBERS || u->at == u->size) return false;
  TransferTag tag = (uint8_t)u->data[u->at];
  if (tag != TRANSFER_INTEGERS && tag != TRANSFER_FLOATS) return false;
  size_t at = u->at;
  Numbers numbers = {.integers = tag == TRANSFER_INTEGERS};
  numbers.at = take_run(L, u, items, &numbers.count);
  if (numbers.count == items && push_list(L, &numbers)) return true;
  u->at = at;
  return false;
}

void unpack_numbers(lua_State *L, Unpacker *u, UnpackFrame *f) {
  while (f->done < f->items && u->at < u->size) {
    TransferTag tag = (uint8_t)u->data[u->at];
    if (tag != TRANSFER_INTEGERS && tag != TRANSFER_FLOATS) return;
    uint32_t n;
    const char *at = take_run(L, u, f->items - f->done, &n);
    for (; n; n--, at += sizeof(lua_Integer)) {
      if (tag == TRANSFER_INTEGERS)
        lua_pushinteger(L, integer_at(at));
      else
        lua_pushnumber(L, number_at(at));
      lua_rawseti(L, f->index, ++f->done);
    }
  }
}
