/* moonloop.clock: the virtual clock of specs, and the order of ready tasks. */
#include "modules.h"
#include "virtual_clock.h"

#include <lauxlib.h>

static int set(lua_State *L, bool on) {
  Runtime *rt = runtime_of(L);
  lua_pushboolean(L, rt->timers.clock.is_virtual);
  virtual_clock_set(rt, on);
  return 1;
}

/* virtual() -> boolean: was it virtual before? From now on the clock jumps (virtual_clock.h).
   `moonloop test` takes that back at the end of each `it`, or of the file for what is called
   outside of an `it`. */
static int l_virtual(lua_State *L) { return set(L, true); }

/* real() -> boolean: was it virtual before? The clock runs as the machine's again. */
static int l_real(lua_State *L) { return set(L, false); }

/* is_virtual() -> boolean */
static int l_is_virtual(lua_State *L) {
  lua_pushboolean(L, runtime_of(L)->timers.clock.is_virtual);
  return 1;
}

/* shuffle(seed | nil): from now on the tasks that are ready run in a random order, which the seed,
   an integer, gives; nil: in the order in which they became ready. */
static int l_shuffle(lua_State *L) {
  Runtime *rt = runtime_of(L);
  rt->shuffle = 0;
  if (lua_isnoneornil(L, 1)) return 0;
  uint64_t x = (uint64_t)luaL_checkinteger(L, 1) + 0x9E3779B97F4A7C15u; /* near seeds: far orders */
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  rt->shuffle = (x ^ x >> 31) | 1;
  return 0;
}

int luaopen_moonloop_clock(lua_State *L) {
  static const luaL_Reg functions[] = {{"virtual", l_virtual},
                                       {"real", l_real},
                                       {"is_virtual", l_is_virtual},
                                       {"shuffle", l_shuffle},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
