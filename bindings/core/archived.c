#include "bindings/core/archived.h"

#include "base/archive.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Calls the function that one of these has replaced, with all arguments. */
static int call_replaced(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* The file inside that the string at `index` names. */
static bool find(lua_State *L, int index, ArchiveFile *file) {
  return lua_type(L, index) == LUA_TSTRING && archive_find(lua_tostring(L, index), file);
}

static const char *damaged(lua_State *L, const char *path) {
  return lua_pushfstring(L, "%s: it is inside of the program, and damaged", path);
}

/* --- io --- */

static int close_inside(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* Pushes a file of io that reads the bytes; or nil, a message and a number. */
static int push_stream(lua_State *L, const char *path, const ArchiveFile *file) {
  if (!file->data) {
    luaL_pushfail(L);
    damaged(L, path);
    lua_pushinteger(L, EIO);
    return 3;
  }
  luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
  stream->closef = NULL; /* until it is open */
  luaL_setmetatable(L, LUA_FILEHANDLE);
  stream->f = fmemopen((void *)file->data, file->size, "r");
  if (!stream->f) return luaL_fileresult(L, 0, path);
  stream->closef = close_inside;
  return 1;
}

/* io.open(path [, mode]): what is inside can only be read. */
static int l_open(lua_State *L) {
  ArchiveFile file;
  const char *mode = lua_isnoneornil(L, 2) ? "r" : lua_tostring(L, 2);
  bool reads = mode && (strcmp(mode, "r") == 0 || strcmp(mode, "rb") == 0);
  if (!reads || !find(L, 1, &file)) return call_replaced(L);
  return push_stream(L, lua_tostring(L, 1), &file);
}

/* io.lines(path, ...) -> iterator, nil, nil, file */
static int l_lines(lua_State *L) {
  ArchiveFile file;
  if (!find(L, 1, &file)) return call_replaced(L);
  if (push_stream(L, lua_tostring(L, 1), &file) != 1)
    return luaL_error(L, "%s", lua_tostring(L, -2));
  lua_replace(L,
              1); /* the file takes the place of its name: it is the first argument of its method */
  int n = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_getfield(L, 1, "lines");
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  lua_call(L, n, 1);
  luaL_pushfail(L);
  luaL_pushfail(L);
  lua_pushvalue(L, n + 1);
  return 4;
}

/* --- code --- */

/* Pushes the function of the code, or a message. The first line may be "#!...". */
static int load(lua_State *L, const ArchiveFile *file, const char *chunk, const char *mode) {
  if (!file->data) {
    damaged(L, chunk + 1);
    return LUA_ERRFILE;
  }
  size_t skipped = file->size && *file->data == '#' ? 1 : 0;
  while (skipped && skipped < file->size && file->data[skipped] != '\n') skipped++;
  return luaL_loadbufferx(L, file->data + skipped, file->size - skipped, chunk, mode);
}

/* loadfile([path [, mode [, env]]]) */
static int l_loadfile(lua_State *L) {
  ArchiveFile file;
  if (!find(L, 1, &file)) return call_replaced(L);
  const char *mode = luaL_optstring(L, 2, NULL);
  bool has_environment = !lua_isnone(L, 3);
  const char *chunk = lua_pushfstring(L, "@%s", lua_tostring(L, 1));
  if (load(L, &file, chunk, mode) != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_environment) {
    lua_pushvalue(L, 3);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

static int continue_dofile(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

/* dofile([path]): the code may wait, as that of a file outside. */
static int l_dofile(lua_State *L) {
  ArchiveFile file;
  lua_settop(L, 1);
  if (find(L, 1, &file)) {
    const char *chunk = lua_pushfstring(L, "@%s", lua_tostring(L, 1));
    if (load(L, &file, chunk, NULL) != LUA_OK) return lua_error(L);
    lua_remove(L, 2);
    lua_callk(L, 0, LUA_MULTRET, 0, continue_dofile);
  } else {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_callk(L, 1, LUA_MULTRET, 0, continue_dofile);
  }
  return continue_dofile(L, LUA_OK, 0);
}

/* --- modules --- */

/* A searcher: (name) -> loader, path; or why there is none. */
static int l_search(lua_State *L) {
  ArchiveFile file;
  const char *name = luaL_checkstring(L, 1);
  if (!archive_find_module(name, &file)) {
    lua_pushfstring(L, "no module '%s' inside of the program", name);
    return 1;
  }
  if (load(L, &file, file.source, NULL) != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file.source + 1,
                      lua_tostring(L, -1));
  lua_pushstring(L, file.source + 1);
  return 2;
}

/* package.searchpath(name, path [, sep [, rep]]): along package.path, modules inside come first, as
   require finds them. */
static int l_searchpath(lua_State *L) {
  ArchiveFile file;
  int given = lua_gettop(L);
  bool is_path = lua_isstring(L, 2) && lua_getglobal(L, "package") == LUA_TTABLE &&
                 lua_getfield(L, -1, "path") == LUA_TSTRING && lua_rawequal(L, -1, 2);
  lua_settop(L, given);
  if (is_path && lua_isstring(L, 1) && archive_find_module(lua_tostring(L, 1), &file)) {
    lua_pushstring(L, file.source + 1);
    return 1;
  }
  return call_replaced(L);
}

/* Replaces the function `name` of the table on the top by f, whose upvalue it becomes. */
static void replace(lua_State *L, const char *name, lua_CFunction f) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

static void add_searcher(lua_State *L) {
  enum { AFTER_PRELOAD = 2 };
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= AFTER_PRELOAD; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, l_search);
  lua_rawseti(L, -2, AFTER_PRELOAD);
  lua_pop(L, 1);
}

void archived_open(lua_State *L) {
  if (!archive_main()) return;
  lua_pushglobaltable(L);
  replace(L, "loadfile", l_loadfile);
  replace(L, "dofile", l_dofile);
  lua_getfield(L, -1, "io");
  replace(L, "open", l_open);
  replace(L, "lines", l_lines);
  lua_pop(L, 1);
  lua_getfield(L, -1, "package");
  replace(L, "searchpath", l_searchpath);
  add_searcher(L);
  lua_pop(L, 2);
}
