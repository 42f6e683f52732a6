#include "core/states.h"

#include "core/function_name.h"
#include "core/script_place.h"
#include "core/stack_text.h"
#include "core/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TRANSPARENT "moonloop.transparent"

void states_note_transparent(lua_State *L, lua_CFunction f) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, TRANSPARENT);
  lua_pushcfunction(L, f);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void states_push_traceback(lua_State *L, int level) {
  stack_text_push(L, L, level);
  for (const Resumer *r = runtime_of(L)->scheduler.resumers; r; r = r->outer) {
    lua_pushliteral(L, "\nin the coroutine that resumed it:\n");
    stack_text_push(L, r->L, 0);
    lua_concat(L, 3);
  }
}

static bool is_transparent(lua_State *L, int index) {
  lua_CFunction f = lua_tocfunction(L, index);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, TRANSPARENT);
  lua_pushcfunction(L, f);
  bool found = f && lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return found;
}

/* " (at app.lua:12)" for the first Lua frame of `of` from `level` on, or "". */
static void write_position(lua_State *of, int level, char *text, size_t size) {
  lua_Debug ar;
  *text = 0;
  for (; lua_getstack(of, level, &ar); level++) {
    lua_getinfo(of, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    snprintf(text, size, " (at %s:%d)", ar.short_src, ar.currentline);
    return;
  }
}

/* Describes the frame `ar` if it cannot be suspended; pops its function. */
static bool write_culprit(lua_State *of, const lua_Debug *ar, char *text, size_t size) {
  bool finalizer = strcmp(ar->namewhat, "metamethod") == 0 && ar->name && strstr(ar->name, "gc");
  bool barrier = finalizer || (*ar->what == 'C' && !is_transparent(of, -1));
  if (finalizer) {
    snprintf(text, size, "a __gc metamethod");
  } else if (barrier) {
    function_name_push(of, -1);
    if (lua_isnil(of, -1))
      snprintf(text, size, "the C function '%s'", ar->name ? ar->name : "?");
    else
      snprintf(text, size, "'%s'", lua_tostring(of, -1));
    lua_pop(of, 1);
  }
  lua_pop(of, 1);
  return barrier;
}

int states_raise_cannot_wait(lua_State *L, const char *function) {
  Runtime *rt = runtime_of(L);
  if (!rt->scheduler.current)
    return script_place_error(
        L,
        "%s: called outside of a task; run the script with moonloop, or inside a "
        "function given to ml.spawn",
        function);
  /* The stack that cannot be suspended: this coroutine's, or one that resumed it. */
  lua_State *of = lua_isyieldable(L) ? rt->scheduler.barrier : L;
  if (!of)
    return script_place_error(
        L,
        "%s: called in a coroutine that coroutine.resume or coroutine.wrap did not "
        "resume, so it cannot be suspended",
        function);
  char culprit[120], place[120];
  lua_Debug ar;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  for (int level = 0; lua_checkstack(of, LUA_MINSTACK) && lua_getstack(of, level, &ar); level++) {
    if (of == L && level == 0) continue; /* the function that wants to wait */
    lua_getinfo(of, "Snf", &ar);
    if (!write_culprit(of, &ar, culprit, sizeof culprit)) continue;
    write_position(of, level + 1, place, sizeof place);
    return script_place_error(L, "%s: cannot wait inside %s%s: Lua cannot suspend it", function,
                              culprit, place);
  }
  return script_place_error(
      L, "%s: cannot wait here: a C function that Lua cannot suspend is running", function);
}
