/* moonloop.clock: the virtual clock of specs, and the order of ready tasks. */
#include "bindings/core/open.h"
#include "core/virtual_clock.h"

#include <lauxlib.h>

static int set(lua_State *L, bool on) {
  Runtime *rt = runtime_of(L);
  lua_pushboolean(L, rt->timers.clock.is_virtual);
  virtual_clock_set(rt, on);
  return 1;
}

/* virtual() -> boolean: was it virtual before? From now on the clock jumps (virtual_clock.h).
   `moonloop test` undoes that at the end of each `it`, or of the file if it was called outside an
   `it`. */
static int l_virtual(lua_State *L) { return set(L, true); }

/* real() -> boolean: was it virtual before? From now on the clock is the machine's again. */
static int l_real(lua_State *L) { return set(L, false); }

/* is_virtual() -> boolean */
static int l_is_virtual(lua_State *L) {
  lua_pushboolean(L, runtime_of(L)->timers.clock.is_virtual);
  return 1;
}

/* shuffle(seed | nil): from now on ready tasks run in a random order given by the seed, an integer;
   with nil, in the order in which they became ready. */
static int l_shuffle(lua_State *L) {
  Scheduler *scheduler = &runtime_of(L)->scheduler;
  if (lua_isnoneornil(L, 1))
    scheduler_shuffle_no_more(scheduler);
  else
    scheduler_shuffle(scheduler, (uint64_t)luaL_checkinteger(L, 1));
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
