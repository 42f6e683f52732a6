/* clash: a module of somebody who called his functions as the host does, all of them. Test-only.
   clash_names.h is made of the host's own names; each of these functions counts its calls. */
#include <dlfcn.h>
#include <lauxlib.h>
#include <stdatomic.h>

static atomic_uint calls; /* the host has threads, too */

#define CLASH(name)                                                                                \
  void name(void);                                                                                 \
  void name(void) { atomic_fetch_add(&calls, 1); }
#include "clash_names.h"
#undef CLASH

/* The linker looks the functions up, as it does for a call. */
typedef struct Clash {
  const char *name;
  void (*function)(void);
} Clash;
static const volatile Clash clashes[] = {
#define CLASH(name) {#name, name},
#include "clash_names.h"
#undef CLASH
};
enum { COUNT = sizeof clashes / sizeof *clashes };

static const char *file_of(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fname : "nowhere";
}

/* redirected() -> list of the names by which this file finds functions of somebody else */
static int l_redirected(lua_State *L) {
  const char *here = file_of(&calls);
  lua_newtable(L);
  for (int i = 0; i < COUNT; i++)
    if (file_of((const void *)(size_t)clashes[i].function) != here) {
      lua_pushstring(L, clashes[i].name);
      lua_rawseti(L, -2, luaL_len(L, -2) + 1);
    }
  return 1;
}

/* call(): calls each function once */
static int l_call(lua_State *L) {
  (void)L;
  for (int i = 0; i < COUNT; i++) clashes[i].function();
  return 0;
}

/* calls() -> how many calls have come, from anybody */
static int l_calls(lua_State *L) {
  lua_pushinteger(L, atomic_load(&calls));
  return 1;
}

/* names() -> list */
static int l_names(lua_State *L) {
  lua_createtable(L, COUNT, 0);
  for (int i = 0; i < COUNT; i++) {
    lua_pushstring(L, clashes[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

__attribute__((visibility("default"))) int luaopen_clash(lua_State *L);

int luaopen_clash(lua_State *L) {
  static const luaL_Reg functions[] = {{"redirected", l_redirected},
                                       {"call", l_call},
                                       {"calls", l_calls},
                                       {"names", l_names},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
