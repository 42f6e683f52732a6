/* Fuzzes what crosses between Lua states. The input is taken twice: as a message, which must be
   unpacked or refused; and as a recipe for random values (shared and cyclic tables, functions with
   shared upvalues), which must come through unchanged in shape.

   Bytecode is not fuzzed: Lua trusts it, and so do we. The message has the code of one function. */
#include "core/error.h"
#include "transfer/transfer.h"
#include "transfer/transfer_format.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what) {
  fprintf(stderr, "transfer_fuzz: %s\n", what);
  abort();
}

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  lua_pushnil(L); /* nothing is loaded from files */
  lua_setglobal(L, "dofile");
  lua_pushnil(L);
  lua_setglobal(L, "require");
  error_open(L);
  lua_settop(L, 0);
  return L;
}

/* --- random values --- */

typedef struct Recipe {
  const uint8_t *at, *end;
} Recipe;

static uint8_t next(Recipe *r) { return r->at < r->end ? *r->at++ : 0; }

/* A function with three upvalues. */
static void push_function(lua_State *L) {
  if (luaL_dostring(L, "local a, b, c return function() return a, b, c end")) die("no function");
}

/* Pushes a value. Tables and functions that were made are in the list at `made`. */
static void push_value(lua_State *L, Recipe *r, int made, int depth) {
  luaL_checkstack(L, 10, NULL);
  switch (next(r) % 13) {
  case 0:
    lua_pushnil(L);
    break;
  case 1:
    lua_pushboolean(L, next(r) & 1);
    break;
  case 2:
    lua_pushinteger(L, (lua_Integer)(next(r) * 0x0123456789ABCDEFull));
    break;
  case 3:
    lua_pushnumber(L, next(r) / 8.0 - 3);
    break;
  case 4: {
    size_t n = next(r) % 100;
    if (n > (size_t)(r->end - r->at)) n = (size_t)(r->end - r->at);
    lua_pushlstring(L, (const char *)r->at, n);
    r->at += n;
    break;
  }
  case 5:
    lua_pushlightuserdata(L, NULL);
    break;
  case 6:
    lua_getglobal(L, "string");
    break;
  case 7:
    lua_getglobal(L, "print");
    break;
  case 8:
  case 9: { /* something that was made before */
    lua_Integer n = (lua_Integer)lua_rawlen(L, made);
    if (n)
      lua_rawgeti(L, made, 1 + next(r) % n);
    else
      lua_pushnil(L);
    break;
  }
  case 10:
    push_function(L);
    for (int i = 1; i <= 3; i++) { /* an upvalue of its own, or one shared with another function */
      lua_Integer n = (lua_Integer)lua_rawlen(L, made);
      uint8_t which = next(r);
      lua_rawgeti(L, made, n ? 1 + which % n : 1);
      if (lua_isfunction(L, -1)) {
        lua_upvaluejoin(L, -2, i, -1, 1 + which % 3);
        lua_pop(L, 1);
      } else {
        lua_setupvalue(L, -2, i);
      }
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, made, (lua_Integer)lua_rawlen(L, made) + 1);
    break;
  case 11: { /* a long list of numbers */
    lua_newtable(L);
    int n = next(r) * 3;
    uint8_t kinds = next(r);
    for (int i = 1; i <= n; i++) {
      if (kinds >> (i % 8) & 1)
        lua_pushinteger(L, i);
      else
        lua_pushnumber(L, i / 2.0);
      lua_rawseti(L, -2, i);
    }
    break;
  }
  default:
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, made, (lua_Integer)lua_rawlen(L, made) + 1);
    if (depth > 40) break;
    for (int n = next(r) % 6; n > 0; n--) {
      push_value(L, r, made, depth + 1);
      lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    for (int n = next(r) % 4; n > 0; n--) {
      push_value(L, r, made, depth + 1);
      if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        continue;
      }
      push_value(L, r, made, depth + 1);
      lua_rawset(L, -3);
    }
    if (next(r) % 16 == 0) {
      error_set_metatable(L);
    } else if (next(r) % 16 == 0) {
      lua_newtable(L);
      lua_pushvalue(L, -1);
      lua_rawseti(L, made, (lua_Integer)lua_rawlen(L, made) + 1);
      lua_setmetatable(L, -2);
    }
  }
}

/* Packs the values from `first` on. False: they are too much for one message, which is empty. */
static bool pack(lua_State *L, int first, int count, TransferMessage *message) {
  int top = lua_gettop(L);
  if (transfer_pack(L, first, count, "value #", message)) {
    if (lua_gettop(L) != top) die("packing left something on the stack");
    return true;
  }
  size_t n; /* a key in it may hold NUL */
  const char *why = lua_tolstring(L, -1, &n);
  if (!memmem(why, n, TRANSFER_TOO_LARGE, strlen(TRANSFER_TOO_LARGE))) die(why);
  if (message->bytes.len || message->code_count) die("something is left of a refused message");
  return false;
}

/* Packing what was unpacked must give the same message again, as long as tables are walked in the
   same order: that is so for lists. For the rest, what counts is that it can be done. */
static void check_there_and_back(lua_State *A, lua_State *B, int count, TransferMessage *there,
                                 TransferMessage *back) {
  if (!pack(A, 2, count, there)) return;
  if (transfer_unpack(B, there) != count) die("unpacking failed");
  if (lua_gettop(B) != count) die("unpacking left something on the stack");
  if (!pack(B, 1, count, back)) return; /* room is made for many numbers at a time */
  if (there->bytes.len != back->bytes.len) die("the message has another length on the way back");
  if (transfer_unpack(A, back) != count) die("unpacking again failed");
  for (int i = 2; i < count + 2; i++) {
    if (lua_type(A, i) != lua_type(A, i + count)) die("a type changed");
    bool made = lua_istable(A, i) || (lua_isfunction(A, i) && !lua_iscfunction(A, i));
    if (!made && !lua_rawequal(A, i, i + count)) die("a value changed");
  }
}

static void check_round_trip(const uint8_t *data, size_t size) {
  lua_State *A = new_state(), *B = new_state();
  Recipe r = {data, data + size};
  lua_newtable(A);
  int count = 0;
  while (r.at < r.end && count < 20) {
    push_value(A, &r, 1, 0);
    count++;
  }
  TransferMessage there = {0}, back = {0};
  check_there_and_back(A, B, count, &there, &back);
  transfer_free(&there);
  transfer_free(&back);
  lua_close(A);
  lua_close(B);
}

static void check_message(const uint8_t *data, size_t size) {
  lua_State *L = new_state();
  TransferMessage message = {0};
  push_function(L);
  if (!transfer_pack(L, 1, 1, "value #", &message)) die(lua_tostring(L, -1));
  lua_settop(L, 0);
  /* of this very size, so that reading past the end is seen */
  char *bytes = realloc(message.bytes.data, size ? size : 1);
  if (size) memcpy(bytes, data, size);
  message.bytes = (Buffer){bytes, size, size ? size : 1};
  int n = transfer_unpack(L, &message);
  if (n >= 0 && lua_gettop(L) != n) die("not as many values as it said");
  if (n < 0 && (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)) die("no reason given");
  transfer_free(&message);
  if (n >= 0) { /* what could be made can also be sent on */
    TransferMessage again = {0};
    transfer_pack(L, 1, n, "value #", &again);
    transfer_free(&again);
  }
  lua_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_message(data, size);
  check_round_trip(data, size);
  return 0;
}
