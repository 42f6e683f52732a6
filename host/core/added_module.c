#include "core/added_module.h"

#include "core/runtime.h"

#include <stdlib.h>
#include <string.h>

static void preload(lua_State *L, const AddedModule *module) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, module->open);
  lua_setfield(L, -2, module->name);
  lua_pop(L, 1);
}

/* Protected: (module as light userdata). */
static int l_preload(lua_State *L) {
  preload(L, lua_touserdata(L, 1));
  return 0;
}

int ml_add_module(Runtime *rt, const char *name, lua_CFunction open) {
  lua_State *L = rt->L;
  size_t size = strlen(name) + 1;
  AddedModule *module = malloc(sizeof *module + size);
  if (!module) return UV_ENOMEM;
  module->open = open;
  module->next = rt->added_modules.last;
  memcpy(module->name, name, size);
  lua_pushcfunction(L, l_preload);
  lua_pushlightuserdata(L, module);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    free(module);
    return UV_ENOMEM;
  }
  rt->added_modules.last = module;
  return 0;
}

/* Oldest first: of two with the same name, the later one counts. */
static void preload_all(lua_State *L, const AddedModule *modules) {
  if (!modules) return;
  preload_all(L, modules->next);
  preload(L, modules);
}

void added_module_inherit(Runtime *rt, const AddedModule *modules) {
  rt->added_modules.last = rt->added_modules.inherited = modules;
  preload_all(rt->L, modules);
}

bool added_module_exists(const Runtime *rt, const char *name) {
  for (const AddedModule *m = rt->added_modules.last; m; m = m->next)
    if (strcmp(m->name, name) == 0) return true;
  return false;
}

void added_module_close(Runtime *rt) {
  for (const AddedModule *m = rt->added_modules.last, *next; m != rt->added_modules.inherited;
       m = next) {
    next = m->next;
    free((void *)m);
  }
  rt->added_modules.last = rt->added_modules.inherited = NULL;
}
