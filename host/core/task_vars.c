#include "core/task_vars.h"

void task_vars_push(lua_State *L, Task *t) {
  if (!t->has_vars) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.vars_ref);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
}

void task_vars_set(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.vars_ref);
  lua_insert(L, -2);
  t->has_vars = !lua_isnil(L, -1);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
}

void task_vars_inherit(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.vars_ref);
  lua_rawgeti(L, -1, t->rt->scheduler.current->slot);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_vars = true;
}

void task_vars_drop(lua_State *L, Task *t) {
  lua_pushnil(L);
  task_vars_set(L, t);
}
