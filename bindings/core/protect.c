/* pcall and xpcall. Like Lua's own, with one difference: what ends the running task, its own cancel
   or the end of its CPU budget, passes through them, so that a loop around pcall cannot swallow
   it. */
#include "bindings/core/protect.h"

#include "bindings/check.h"
#include "core/states.h"
#include "core/task.h"
#include "core/traceback.h"

#include <lauxlib.h>

/* Puts the error in flight, if there is one, at index 1. Returns the number of values added. */
static int keep_flight(lua_State *L) {
  const Task *t = task_current(L);
  if (!t || !t->in_flight) return 0;
  traceback_push_flight(L, t);
  lua_insert(L, 1);
  return 1;
}

/* After a failed protected call: returns false and the error, which replaces a cancel that its
   clean-up met. With `lets_through`, the task's own cancel passes through. `before` is the result
   of keep_flight. */
static int caught(lua_State *L, int before, bool lets_through) {
  Task *t = task_current(L);
  if (t) {
    traceback_uncover(L, t, before);
    if (lets_through && task_is_broken_off(L, -1)) return lua_error(L);
    traceback_caught(L, t);
    if (before) traceback_set_flight(L, t, 1);
  }
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* Below the results are an error that was in flight, if any, and the handler. */
static inline int call_over(lua_State *L, int status, int before, bool lets_through) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - before - 1;
  return caught(L, before, lets_through);
}

static int pcall_over(lua_State *L, int status, lua_KContext before) {
  return call_over(L, status, (int)before, true);
}

static int catch_over(lua_State *L, int status, lua_KContext before) {
  return call_over(L, status, (int)before, false);
}

static inline int call(lua_State *L, lua_KFunction over) {
  check_any(L, 1);
  int before = keep_flight(L), handler = before + 1;
  lua_pushcfunction(L, traceback_catch_handler);
  lua_pushboolean(L, 1); /* the first result */
  lua_rotate(L, handler, 2);
  int nargs = lua_gettop(L) - handler - 2;
  return over(L, lua_pcallk(L, nargs, LUA_MULTRET, handler, before, over), before);
}

/* pcall(f, ...) -> true, results | false, error */
static int l_protect_pcall(lua_State *L) { return call(L, pcall_over); }

int protect_catch(lua_State *L) { return call(L, catch_over); }

/* The message handler of xpcall. Upvalue 1 is the user's, which does not see the task's own
   cancel. */
static int l_handle_error(lua_State *L) {
  lua_settop(L, 1);
  if (!task_is_broken_off(L, 1) && !traceback_is_covering(L)) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
  }
  return traceback_catch_handler(L);
}

/* xpcall(f, handler, ...) -> true, results | false, what the handler returned */
static int l_protect_xpcall(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int before = keep_flight(L), handler = before + 1;
  lua_pushvalue(L, before + 2);
  lua_pushcclosure(L, l_handle_error, 1);
  lua_insert(L, handler);
  lua_copy(L, handler + 1, handler + 2); /* f, in place of the user's handler */
  lua_pushboolean(L, 1);
  lua_replace(L, handler + 1); /* the first result */
  int nargs = lua_gettop(L) - handler - 2;
  return pcall_over(L, lua_pcallk(L, nargs, LUA_MULTRET, handler, before, pcall_over), before);
}

void protect_open(lua_State *L) {
  states_note_transparent(L, l_protect_pcall);
  states_note_transparent(L, l_protect_xpcall);
  lua_pushcfunction(L, l_protect_pcall);
  lua_setglobal(L, "pcall");
  lua_pushcfunction(L, l_protect_xpcall);
  lua_setglobal(L, "xpcall");
  lua_getglobal(L, "dofile"); /* Lua's own already lets suspensions through */
  states_note_transparent(L, lua_tocfunction(L, -1));
  lua_pop(L, 1);
}
