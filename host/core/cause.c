#include "core/cause.h"

#include "core/runtime.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

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
  CancelCause *other =
      cause->deadline >= 0
          ? cause_new(cause->rt, "the deadline of the task that waits for it has passed")
          : NULL;
  return other ? other : cause_hold(cause);
}

void cause_drop(CancelCause *cause) {
  if (!cause || --cause->refs > 0) return;
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->reason_ref);
  luaL_unref(cause->rt->L, LUA_REGISTRYINDEX, cause->error_ref);
  free(cause->message);
  free(cause);
}

void cause_set_message(CancelCause *cause, const char *text, size_t len) {
  char *copy = strndup(text, len);
  if (!copy) return; /* the general text says less */
  free(cause->message);
  cause->message = copy;
}

void cause_push_error(lua_State *L, CancelCause *cause) {
  if (cause->error_ref == LUA_NOREF && cause->deadline >= 0) {
    if (cause->message)
      ml_error_push(L, "timeout", NULL, "%s", cause->message);
    else
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
    /* A reason may be any value; only texts and numbers are put into the message. */
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

bool cause_is_error(lua_State *L, int index, const CancelCause *cause) {
  if (cause->error_ref == LUA_NOREF) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, cause->error_ref);
  bool same = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  return same;
}
