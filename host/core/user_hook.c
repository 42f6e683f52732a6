#include "core/user_hook.h"

#include "core/interrupt.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/weak_keys.h"

#include <lauxlib.h>

/* Keys: the first is that of the registry's table of hooks by thread, the second that of the main
   task's hook in it. */
static const char hooks_key, main_key;

/* --- the hook of a thread --- */

UserHook *user_hook_push(lua_State *L) {
  if (!runtime_of(L)->user_hooks.any) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(L);
  lua_rawget(L, -2);
  return lua_touserdata(L, -1);
}

static void push_thread(lua_State *L, lua_State *of) {
  luaL_checkstack(L, 6, NULL);
  if (!lua_checkstack(of, 1)) luaL_error(L, "not enough memory");
  lua_pushthread(of);
  if (of != L) lua_xmove(of, L, 1);
}

UserHook user_hook_get(lua_State *L, lua_State *of) {
  UserHook found = {0};
  if (!runtime_of(L)->user_hooks.any) {
    lua_pushnil(L);
    return found;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  push_thread(L, of);
  if (lua_rawget(L, -2) != LUA_TNIL) {
    found = *(UserHook *)lua_touserdata(L, -1);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
  return found;
}

/* Pushes the table of hooks, which does not keep threads alive. */
static void push_table(lua_State *L) {
  if (weak_keys_push(L, &hooks_key)) runtime_of(L)->user_hooks.any = true;
}

/* Pushes a record for the function at `index`. */
static UserHook *new_record(lua_State *L, int index, int mask, int count) {
  index = lua_absindex(L, index);
  UserHook *user = lua_newuserdatauv(L, sizeof *user, 1);
  *user = (UserHook){.mask = mask, .count = count, .left = count};
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  return user;
}

/* Sets the hook of `of` to the function at `index`; with the mask 0 to none. */
static void set_one(lua_State *L, lua_State *of, int index, int mask, int count, bool of_main) {
  index = lua_absindex(L, index);
  push_table(L);
  push_thread(L, of);
  if (mask)
    new_record(L, index, mask, count)->of_main = of_main;
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  interrupt_set_user_hook(of, mask, mask & LUA_MASKCOUNT ? count : 0);
}

/* --- of tasks --- */

static Task *task_after(Task *t) {
  if (t->children) return t->children;
  while (t && !t->sibling) t = t->parent;
  return t ? t->sibling : NULL;
}

/* The live task whose thread this is, or NULL. */
static Task *task_of(Runtime *rt, lua_State *thread) {
  Task *t = rt->scheduler.current;
  if (t && t->co == thread) return t;
  for (t = rt->tasks.roots; t && t->co != thread;) t = task_after(t);
  return t;
}

/* Does the task have a hook that did not come from the main task? */
static bool has_own(lua_State *L, Task *t) {
  if (!t->has_hook) return false;
  bool own = !user_hook_get(L, t->co).of_main;
  lua_pop(L, 1);
  return own;
}

/* The main task has a new hook, the function at `index`: all other tasks get it, except those with
   their own. */
static void set_all(lua_State *L, int index, int mask, int count) {
  Runtime *rt = runtime_of(L);
  index = lua_absindex(L, index);
  rt->user_hooks.for_tasks = mask != 0;
  push_table(L);
  if (mask)
    new_record(L, index, mask, count)->of_main = true;
  else
    lua_pushnil(L);
  lua_rawsetp(L, -2, &main_key);
  lua_pop(L, 1);
  for (Task *t = rt->tasks.roots; t; t = task_after(t)) {
    if (t->status == TASK_PENDING || has_own(L, t)) continue;
    t->has_hook = true;
    set_one(L, t->co, index, mask, count, true);
  }
}

void user_hook_set(lua_State *L, lua_State *of, int mask, int count) {
  Runtime *rt = runtime_of(L);
  Task *t = task_of(rt, of);
  if (t) t->has_hook = true;
  set_one(L, of, -1, mask, count, false);
  if (of == rt->L || (t && t->is_main)) set_all(L, -1, mask, count);
  lua_pop(L, 1);
}

/* Applies the main task's hook to `of`. */
static void give_main(lua_State *L, lua_State *of) {
  luaL_checkstack(L, 8, NULL);
  int top = lua_gettop(L);
  push_table(L);
  lua_rawgetp(L, -1, &main_key);
  const UserHook *user = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, 1);
  set_one(L, of, -1, user->mask, user->count, true);
  lua_settop(L, top);
}

void user_hook_begin(lua_State *L, Task *t) {
  t->has_hook = true;
  give_main(L, t->co);
}

void user_hook_begin_coroutine(lua_State *L, lua_State *co) {
  if (runtime_of(L)->user_hooks.for_tasks) give_main(L, co);
}

void user_hook_end(Task *t) {
  lua_State *co = t->co;
  if (!lua_checkstack(co, 3)) return; /* it is checked again when the stack is empty */
  t->has_hook = false;
  lua_rawgetp(co, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(co);
  lua_pushnil(co);
  lua_rawset(co, -3);
  lua_pop(co, 1);
  interrupt_set_user_hook(co, 0, 0);
  interrupt_disarm(co);
}

/* --- events --- */

void user_hook_call(lua_State *L, lua_Debug *ar, UserHook *user) {
  static const char *const names[] = {"call", "return", "line", "count", "tail call"};
  if (user->foreign) {
    user->foreign(L, ar);
    return;
  }
  lua_getiuservalue(L, -1, 1);
  lua_pushstring(L, names[ar->event]);
  if (ar->currentline >= 0)
    lua_pushinteger(L, ar->currentline);
  else
    lua_pushnil(L);
  lua_call(L, 2, 0);
}
