/* loop: starts the runtime's loop from a script, which no function of moonloop does. Test-only. */
#include "runtime.h"

static bool at_once(void *data) {
  (void)data;
  return true;
}

/* run() -> boolean: false when the loop is running already */
static int l_run(lua_State *L) {
  lua_pushboolean(L, runtime_run(runtime_of(L), at_once, NULL));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_loop(lua_State *L);

int luaopen_loop(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_run);
  lua_setfield(L, -2, "run");
  return 1;
}
