/* pcall and xpcall. Like Lua's own, with one difference: what breaks the running task off, its
   cancel or the end of its CPU budget, goes through them, so that a loop round pcall cannot swallow
   it. */
#include "modules.h"
#include "report.h"
#include "states.h"
#include "task.h"

#include <lauxlib.h>

/* After a protected call that failed: lets the own cancel through. */
static void caught(lua_State *L) {
  Task *t = task_current(L);
  if (!t) return;
  if (task_is_broken_off(L, -1)) lua_error(L);
  /* A table keeps its identity when it is raised again, and so its origin stays true. */
  if (t->has_origin && !lua_istable(L, -1)) report_forget_origin(t);
}

/* `skip`: how many values lie below the results. */
static int protect_over(lua_State *L, int status, lua_KContext skip) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)skip;
  caught(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* pcall(f, ...) -> true, results | false, error */
static int protect_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return protect_over(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, protect_over), 0);
}

/* The message handler of xpcall: upvalue 1 is the user's, which does not see the own cancel. */
static int handle_error(lua_State *L) {
  lua_settop(L, 1);
  if (task_is_broken_off(L, 1)) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* xpcall(f, handler, ...) -> true, results | false, what the handler returned */
static int protect_xpcall(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle_error, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, 1); /* the first result */
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* both below the arguments */
  return protect_over(L, lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, protect_over), 2);
}

static int catch_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L);
  Task *t = task_current(L);
  if (t && t->has_origin && !lua_istable(L, -1)) report_forget_origin(t);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

int protect_catch(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return catch_over(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, catch_over), 0);
}

void protect_open(lua_State *L) {
  states_note_transparent(L, protect_pcall);
  states_note_transparent(L, protect_xpcall);
  lua_pushcfunction(L, protect_pcall);
  lua_setglobal(L, "pcall");
  lua_pushcfunction(L, protect_xpcall);
  lua_setglobal(L, "xpcall");
  lua_getglobal(L, "dofile"); /* Lua's own can be suspended through already */
  states_note_transparent(L, lua_tocfunction(L, -1));
  lua_pop(L, 1);
}
