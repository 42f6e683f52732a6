#include "core/traceback.h"

#include "core/origin.h"
#include "core/runtime.h"
#include "core/stack_text.h"
#include "core/states.h"
#include "core/task.h"

#include <lauxlib.h>
#include <string.h>

void traceback_open(lua_State *L) {
  Tracebacks *part = &runtime_of(L)->tracebacks;
  lua_newtable(L);
  part->origins_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  part->flights_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  part->all_frames = stack_text_wants_all();
}

/* --- errors in flight: flights[slot] = the last one --- */

static void push_flights(lua_State *L, const Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tracebacks.flights_ref);
}

void traceback_set_flight(lua_State *L, Task *t, int index) {
  push_flights(L, t);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->in_flight = t->has_flight = true;
}

void traceback_push_flight(lua_State *L, const Task *t) {
  push_flights(L, t);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
}

/* Was the error at index 1 raised from outside, possibly replacing one in flight? */
static bool is_no_flight(lua_State *L, const Task *t) {
  if (!t->cancel_pending) return false;
  return t->in_flight ? scope_is_cut(L, 1) : scope_is_own_cancel(L, 1);
}

bool traceback_is_covering(lua_State *L) {
  const Task *t = task_current(L);
  if (!t || !t->in_flight || !is_no_flight(L, t)) return false;
  traceback_push_flight(L, t);
  bool same = lua_rawequal(L, 1, -1); /* it has met a handler before */
  lua_pop(L, 1);
  return !same;
}

int traceback_catch_handler(lua_State *L) {
  Task *t = task_current(L);
  if (t && !is_no_flight(L, t)) traceback_set_flight(L, t, 1);
  return 1;
}

bool traceback_uncover(lua_State *L, Task *t, bool before) {
  if (!t->in_flight || before || !t->cancel_pending || !scope_is_cut(L, -1)) return false;
  traceback_push_flight(L, t);
  bool other = !lua_rawequal(L, -1, -2);
  lua_remove(L, other ? -2 : -1);
  return other;
}

/* --- what is kept: origins[slot] = {error, origin, it has this task's own traceback} --- */

enum { KEPT_ERROR = 1, KEPT_ORIGIN, KEPT_OWN };

static void keep(lua_State *L, Task *t, int error, int origin, bool own) {
  error = lua_absindex(L, error);
  origin = lua_absindex(L, origin);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tracebacks.origins_ref);
  lua_createtable(L, KEPT_OWN, 0);
  lua_pushvalue(L, error);
  lua_rawseti(L, -2, KEPT_ERROR);
  lua_pushvalue(L, origin);
  lua_rawseti(L, -2, KEPT_ORIGIN);
  lua_pushboolean(L, own);
  lua_rawseti(L, -2, KEPT_OWN);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_origin = true;
}

/* Pushes what is stored for the error at `index`. False, with nothing pushed, if there is
   nothing. */
static bool push_kept_for(lua_State *L, const Task *t, int index) {
  if (!t->has_origin) return false;
  index = lua_absindex(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tracebacks.origins_ref);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
  lua_rawgeti(L, -1, KEPT_ERROR);
  bool same = lua_rawequal(L, -1, index);
  lua_pop(L, same ? 1 : 2);
  return same;
}

void traceback_push_origin(lua_State *L, Task *t, int index) {
  if (!push_kept_for(L, t, index)) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, -1, KEPT_ORIGIN);
  lua_remove(L, -2);
}

void traceback_push(lua_State *L, Task *t, int index) {
  traceback_push_origin(L, t, index);
  origin_render(L);
}

void traceback_settle(lua_State *L, Task *t, int index) {
  if (!push_kept_for(L, t, index)) return;
  lua_rawgeti(L, -1, KEPT_ORIGIN);
  origin_render(L);
  lua_rawseti(L, -2, KEPT_ORIGIN);
  lua_pop(L, 1);
}

void traceback_extend(lua_State *L, int index) {
  Task *t = task_current(L);
  index = lua_absindex(L, index);
  if (!t || !push_kept_for(L, t, index)) return;
  lua_rawgeti(L, -1, KEPT_ORIGIN);
  lua_remove(L, -2);
  origin_list(L);
}

void traceback_forget(Task *t) {
  lua_State *L = t->rt->L;
  if (!t->has_origin) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tracebacks.origins_ref);
  lua_pushnil(L);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_origin = false;
}

void traceback_task_ended(Task *t) {
  traceback_forget(t);
  if (!t->has_flight) return;
  lua_State *L = t->rt->L;
  push_flights(L, t);
  lua_pushnil(L);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->in_flight = t->has_flight = false;
}

void traceback_caught(lua_State *L, Task *t) {
  t->in_flight = false;
  /* A table keeps its identity when it is raised again, so its origin stays valid. */
  if (t->has_origin && !lua_istable(L, -1)) traceback_forget(t);
}

void traceback_caught_other(lua_State *L, Task *t) {
  bool in_flight = t->in_flight;
  if (in_flight) {
    traceback_push_flight(L, t);
    in_flight = !lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  traceback_caught(L, t);
  t->in_flight = in_flight;
}

int traceback_raise(lua_State *L) {
  Task *t = task_current(L);
  if (t) keep(L, t, -2, -1, false);
  lua_pop(L, 1);
  return lua_error(L);
}

/* --- where it is raised --- */

void traceback_note(lua_State *L, int index) {
  Task *t = task_current(L);
  index = lua_absindex(L, index);
  states_push_traceback(L, 0);
  if (t) keep(L, t, index, -1, true);
  lua_pop(L, 1);
}

/* Puts a note that may explain the error at index 1 before the traceback on the top. */
static bool prepend_note(lua_State *L) {
  void (*explain)(lua_State * L, int index) = runtime_of(L)->tracebacks.explain;
  if (!explain) return false;
  explain(L, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushfstring(L, "note: %s\n%s", lua_tostring(L, -1), lua_tostring(L, -2));
  lua_replace(L, -3);
  lua_pop(L, 1);
  return true;
}

int traceback_handler(lua_State *L) {
  Task *t = task_current(L);
  if (!t || is_no_flight(L, t)) return 1;
  bool known = push_kept_for(L, t, 1);
  traceback_set_flight(L, t, 1);
  if (known) {
    lua_rawgeti(L, -1, KEPT_OWN);
    if (lua_toboolean(L, -1)) { /* raised again on its way out: the first traceback says more */
      lua_settop(L, 1);
      return 1;
    }
    lua_rawgeti(L, 2, KEPT_ORIGIN);
    lua_replace(L, 2);
    lua_settop(L, 2);
  }
  void (*raised)(lua_State * L, int index) = t->rt->tracebacks.raised;
  if (raised) raised(L, 1);
  bool says_something = stack_text_push(L, L, 1);
  says_something |= prepend_note(L);
  if (says_something) {
    if (known) {
      lua_insert(L, 2);
      origin_list(L);
    }
    keep(L, t, 1, -1, true);
  }
  lua_settop(L, 1);
  return 1;
}
