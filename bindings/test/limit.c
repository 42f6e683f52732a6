/* moonloop.test.limit: how long a spec may take (time_limit.h). */
#include "bindings/args.h"
#include "bindings/class.h"
#include "bindings/test/open.h"
#include "test/time_limit.h"

#define LIMIT "moonloop.test.limit"

static int l_limit_close(lua_State *L) {
  TimeLimit **limit = luaL_checkudata(L, 1, LIMIT);
  time_limit_leave(*limit);
  return 0;
}

/* enter(seconds, what, name) -> block, for `local block <close> = enter(60, "the test", name)`:
   limits what the calling task does until the block is left. `what` is the subject of the error
   message, and `name` says which one it is. */
static int l_limit_enter(lua_State *L) {
  TimeLimit **limit = lua_touserdata(L, lua_upvalueindex(1));
  double seconds = args_check_seconds(L, 1);
  const char *what = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  if (!time_limit_enter(*limit, args_require_task(L, "enter"), seconds, what, name))
    return luaL_error(L, "not enough memory");
  lua_pushvalue(L, lua_upvalueindex(1));
  return 1;
}

int luaopen_moonloop_test_limit(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  lua_newtable(L);
  TimeLimit **limit = lua_newuserdatauv(L, sizeof(TimeLimit *), 0);
  *limit = time_limit_new(runtime_of(L));
  if (!*limit) return luaL_error(L, "not enough memory");
  class_set(L, LIMIT, methods, NULL, l_limit_close);
  lua_pushcclosure(L, l_limit_enter, 1);
  lua_setfield(L, -2, "enter");
  return 1;
}
