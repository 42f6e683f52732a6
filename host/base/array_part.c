#include "base/array_part.h"

/* Lua's own. Weak, since the shared library does not export them. */
extern unsigned luaH_realasize(const void *table) __attribute__((weak));
extern const void *luaH_getint(void *table, lua_Integer key) __attribute__((weak));

ArraySlot *array_part(lua_State *L, int index, size_t *size) {
  if (!luaH_realasize || !luaH_getint) return NULL;
  void *table = (void *)lua_topointer(L, index);
  *size = luaH_realasize(table);
  return *size ? (ArraySlot *)luaH_getint(table, 1) : NULL;
}
