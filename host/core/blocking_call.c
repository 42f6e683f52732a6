#include "core/blocking_call.h"

#include "core/frames.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <link.h>
#include <string.h>

/* Lua's own: where the function is found, and what takes its place. */
static const struct {
  const char *library, *field, *function, *ours;
} rows[] = {
    {"os", "execute", "os.execute", "ml.process.run"},
    {"os", "remove", "os.remove", "ml.fs.remove"},
    {"os", "rename", "os.rename", "ml.fs.rename"},
    {"io", "popen", "io.popen", "ml.process.run or ml.process.spawn"},
    {"io", "open", "io.open", "ml.fs.open, ml.fs.read or ml.fs.write"},
    {"io", "lines", "io.lines", "ml.fs.open"},
    {"io", "read", "io.read", "ml.fs.open \"/dev/stdin\""},
    {LUA_FILEHANDLE, "read", "file:read", "ml.fs.open, or ml.process.spawn for a program,"},
    {LUA_FILEHANDLE, "write", "file:write", "ml.fs.open, or ml.process.spawn for a program,"},
    {LUA_FILEHANDLE, "flush", "file:flush", "ml.fs.open, or ml.process.spawn for a program,"},
    {LUA_FILEHANDLE, "close", "file:close", "ml.fs.open, or ml.process.run for a program,"},
    /* not a field: what file:lines and io.lines return */
    {NULL, NULL, "file:lines", "ml.fs.open, or ml.process.spawn for a program,"},
};
#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= BLOCKING_CALLS, "every row needs a place");

/* Modules in C that block, by the ends of their files' names. */
static const struct {
  const char *file, *name, *ours;
} modules[] = {
    {"/socket/core.so", "LuaSocket", "ml.net or ml.http"},
    {"/socket/unix.so", "LuaSocket", "ml.net"},
    {"/ssl.so", "LuaSec", "ml.net or ml.http"},
    {"/lcurl.so", "Lua-cURL", "ml.http"},
    {"/lfs.so", "LuaFileSystem", "ml.fs"},
    {"/lsqlite3.so", "LuaSQLite", "ml.sql"},
    {"/luasql/sqlite3.so", "LuaSQL", "ml.sql"},
    {"/luasql/postgres.so", "LuaSQL", "ml.sql"},
};

/* --- noting --- */

static void push_library(lua_State *L, const char *name) {
  if (!strcmp(name, LUA_FILEHANDLE)) {
    luaL_getmetatable(L, name);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "__index");
  } else {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, name);
  }
}

/* Protected: (the calls). */
static int l_note(lua_State *L) {
  BlockingCalls *calls = lua_touserdata(L, 1);
  for (size_t i = 0; i < ROWS; i++) {
    lua_settop(L, 1);
    if (rows[i].library) {
      push_library(L, rows[i].library);
      if (!lua_istable(L, -1)) continue;
      lua_getfield(L, -1, rows[i].field);
    } else { /* io.stdout:lines(), which reads nothing yet */
      push_library(L, "io");
      if (!lua_istable(L, -1)) continue;
      lua_getfield(L, -1, "stdout");
      lua_getfield(L, -1, "lines");
      lua_insert(L, -2);
      lua_call(L, 1, 1);
    }
    calls->functions[i] = lua_tocfunction(L, -1);
  }
  return 0;
}

void blocking_calls_note(BlockingCalls *calls, lua_State *L) {
  memset(calls, 0, sizeof *calls);
  if (!frames_can_tell_functions(L)) return;
  lua_pushcfunction(L, l_note);
  lua_pushlightuserdata(L, calls);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* without a library there is less to tell */
}

/* --- telling --- */

/* The file that the function is in, or NULL. dladdr may take locks, this does not. */
static const char *file_of(lua_CFunction f) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
  struct dl_find_object found;
  return _dl_find_object((void *)f, &found) == 0 ? found.dlfo_link_map->l_name : NULL;
#else
  (void)f;
  return NULL;
#endif
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && !memcmp(text + n - m, end, m);
}

BlockingHint blocking_calls_hint(const BlockingCalls *calls, lua_State *L) {
  lua_CFunction f = frames_c_function(L);
  if (!f) return (BlockingHint){0};
  for (size_t i = 0; i < ROWS; i++)
    if (calls->functions[i] == f) return (BlockingHint){rows[i].function, rows[i].ours};
  const char *file = file_of(f);
  for (size_t i = 0; file && i < sizeof modules / sizeof *modules; i++)
    if (ends_with(file, modules[i].file)) return (BlockingHint){modules[i].name, modules[i].ours};
  return (BlockingHint){0};
}
