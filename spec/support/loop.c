/* loop: starts the runtime's loop from inside a task, and yields to it, as a module of anybody
   could. Test-only. */
#include <lauxlib.h>
#include <moonloop.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPORT = 200 };

static void add(void *data, const char *text) {
  char *reported = data;
  size_t n = strlen(reported);
  snprintf(reported + n, MAX_REPORT - n, "%s", text);
}

/* run() -> exit status, what was reported */
static int l_run(lua_State *L) {
  ml_Runtime *rt = ml_runtime_of(L);
  char reported[MAX_REPORT] = "";
  ml_on_report(rt, add, reported);
  lua_pushinteger(L, ml_run_string(rt, "error 'it runs'", "again"));
  ml_on_report(rt, NULL, NULL);
  lua_pushstring(L, reported);
  return 2;
}

/* yield(): by Lua's own function, not by the host's */
static int l_yield(lua_State *L) { return lua_yield(L, 0); }

__attribute__((visibility("default"))) int luaopen_loop(lua_State *L);

int luaopen_loop(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_run);
  lua_setfield(L, -2, "run");
  lua_pushcfunction(L, l_yield);
  lua_setfield(L, -2, "yield");
  return 1;
}
