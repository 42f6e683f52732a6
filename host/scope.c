#include "scope.h"

#include "error.h"
#include "task.h"

#include <stdlib.h>

CancelCause *cause_new(Runtime *rt, const char *reason) {
  CancelCause *cause = malloc(sizeof *cause);
  if (!cause) return NULL;
  *cause = (CancelCause){
      .refs = 1, .reason_ref = LUA_NOREF, .error_ref = LUA_NOREF, .reason = reason, .rt = rt};
  return cause;
}

CancelCause *cause_new_from(lua_State *L) {
  CancelCause *cause = cause_new(runtime_of(L), NULL);
  if (!cause) return NULL;
  cause->reason_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return cause;
}

CancelCause *cause_hold(CancelCause *cause) {
  cause->refs++;
  return cause;
}

void cause_drop(CancelCause *cause) {
  if (!cause || --cause->refs > 0) return;
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->reason_ref);
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->error_ref);
  free(cause);
}

void cause_push_error(lua_State *L, CancelCause *cause) {
  if (cause->error_ref == LUA_NOREF) {
    if (cause->reason)
      lua_pushstring(L, cause->reason);
    else if (cause->reason_ref == LUA_NOREF)
      lua_pushnil(L);
    else
      lua_rawgeti(L, LUA_REGISTRYINDEX, cause->reason_ref);
    /* A reason may be any value; only texts and numbers are worth a place in the message. */
    if (lua_isstring(L, -1)) {
      const char *text = luaL_tolstring(L, -1, NULL);
      error_push(L, "cancelled", NULL, "the task was cancelled: %s", text);
      lua_remove(L, -2);
    } else {
      error_push(L, "cancelled", NULL, "the task was cancelled");
    }
    lua_insert(L, -2);
    lua_setfield(L, -2, "reason");
    lua_pushvalue(L, -1);
    cause->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, cause->error_ref);
}

void scope_open(Scope *scope, Task *t) {
  *scope = (Scope){.outer = t->scope, .task = t};
  t->scope = scope;
}

void scope_close(Scope *scope) {
  Task *t = scope->task;
  timer_clear(&t->rt->timers, &scope->timer);
  t->scope = scope->outer;
  cause_drop(scope->cause);
  scope->cause = NULL;
  t->cancel_pending = scope_pending(t) != NULL;
}

void scope_cancel(Scope *scope, CancelCause *cause) {
  if (scope->cause) {
    cause_drop(cause);
    return;
  }
  scope->cause = cause;
  task_interrupt(scope->task);
}

CancelCause *scope_pending(Task *t) {
  if (t->cancelled) return t->cancelled;
  CancelCause *outermost = NULL;
  for (Scope *s = t->scope; s; s = s->outer)
    if (s->cause) outermost = s->cause;
  return outermost;
}

static bool is_error_of(lua_State *L, int index, CancelCause *cause) {
  if (!cause || cause->error_ref == LUA_NOREF) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, cause->error_ref);
  bool same = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  return same;
}

bool scope_is_own_cancel(lua_State *L, int index) {
  Task *t = task_current(L);
  if (!t || !t->cancel_pending) return false;
  index = lua_absindex(L, index);
  if (is_error_of(L, index, t->cancelled)) return true;
  for (Scope *s = t->scope; s; s = s->outer)
    if (is_error_of(L, index, s->cause)) return true;
  return false;
}
