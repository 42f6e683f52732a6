#include "scope.h"

#include "task.h"

#include <stdlib.h>

CancelCause *cause_new(Runtime *rt, const char *reason) {
  CancelCause *cause = malloc(sizeof *cause);
  if (!cause) return NULL;
  *cause = (CancelCause){.refs = 1,
                         .reason_ref = LUA_NOREF,
                         .error_ref = LUA_NOREF,
                         .reason = reason,
                         .deadline = -1,
                         .rt = rt};
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

CancelCause *cause_for_others(CancelCause *cause) {
  CancelCause *other = cause->deadline >= 0
                           ? cause_new(cause->rt, "the deadline of who waits for it has passed")
                           : NULL;
  return other ? other : cause_hold(cause);
}

void cause_drop(CancelCause *cause) {
  if (!cause || --cause->refs > 0) return;
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->reason_ref);
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->error_ref);
  free(cause);
}

void cause_push_error(lua_State *L, CancelCause *cause) {
  if (cause->error_ref == LUA_NOREF && cause->deadline >= 0) {
    ml_error_push(L, "timeout", NULL, "the deadline of %g s has passed", cause->deadline);
    lua_pushvalue(L, -1);
    cause->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return;
  }
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
      ml_error_push(L, "cancelled", NULL, "the task was cancelled: %s", text);
      lua_remove(L, -2);
    } else {
      ml_error_push(L, "cancelled", NULL, "the task was cancelled");
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

/* The children that `shield` sheltered are exposed to what is outside of it. */
static void expose_children(Scope *shield) {
  Task *t = shield->task;
  Scope *next = shield->outer;
  while (next && !next->shield) next = next->outer;
  for (Task *child = t->children; child; child = child->sibling) {
    if (child->shelter != shield) continue;
    child->shelter = next;
    if (!next && t->cancelled) task_cancel(child, t->cancelled);
  }
}

void scope_close(Scope *scope) {
  Task *t = scope->task;
  if (!t) return;
  timer_clear(&t->rt->timers, &scope->timer);
  Scope **link = &t->scope;
  while (*link != scope) link = &(*link)->outer;
  *link = scope->outer;
  if (scope->shield) expose_children(scope);
  if (scope->cause && t->wait && t != t->rt->current) {
    cause_drop(t->left_cause);
    t->left_cause = scope->cause;
  } else {
    cause_drop(scope->cause);
  }
  scope->cause = NULL;
  scope->task = NULL;
  t->cancel_pending = scope_pending(t) != NULL;
}

Scope *scope_shield_of(Task *t) {
  Scope *s = t->scope;
  while (s && !s->shield) s = s->outer;
  return s;
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
  CancelCause *outermost = NULL;
  for (Scope *s = t->scope; s; s = s->outer) {
    if (s->cause) outermost = s->cause;
    if (s->shield) return outermost;
  }
  return t->cancelled ? t->cancelled : outermost;
}

static bool is_error_of(lua_State *L, int index, CancelCause *cause) {
  if (!cause || cause->error_ref == LUA_NOREF || cause->deadline >= 0) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, cause->error_ref);
  bool same = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  return same;
}

bool scope_is_own_cancel(lua_State *L, int index) {
  Task *t = task_current(L);
  if (!t || !t->cancel_pending) return false;
  index = lua_absindex(L, index);
  for (Scope *s = t->scope; s; s = s->outer) {
    if (is_error_of(L, index, s->cause)) return true;
    if (s->shield) return false;
  }
  return is_error_of(L, index, t->cancelled);
}
