#include "bindings/core/os_exit.h"

#include "core/task.h"

#include <lauxlib.h>

/* os.exit([code [, close]]): ends the program cleanly. Every task, including this one, is cancelled
   and cleans up; then the runtime is closed. Outside of a task it does what Lua's own does. */
static int l_os_exit(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Task *t = rt->scheduler.current;
  if (!t) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
  }
  int code = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? 0 : 1) : (int)luaL_optinteger(L, 1, 0);
  exit_begin(&rt->exit, code);
  CancelCause *cause = cause_new(rt, "os.exit was called");
  if (!cause) return luaL_error(L, "not enough memory");
  task_cancel(t, cause);
  cause_drop(cause);
  CancelCause *pending = scope_pending(t); /* none inside a shield */
  cause_push_error(L, pending ? pending : t->cancelled);
  return lua_error(L); /* pcall lets it through: the code after os.exit does not run */
}

void os_exit_open(lua_State *L) {
  lua_getglobal(L, "os");
  lua_getfield(L, -1, "exit");
  lua_pushcclosure(L, l_os_exit, 1);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}
