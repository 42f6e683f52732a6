/* moonloop.folder: folders of migrations and templates. They are read when a server starts or by a
   command, so it is done at once, without another thread. */
#include "base/archive.h"
#include "bindings/class.h"
#include "bindings/core/open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK "moonloop.folder_lock"

static int fail(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, strerror(error));
  return 2;
}

/* Links are none: they can lead back to where one is. */
static bool is_folder(int folder, const struct dirent *entry) {
  struct stat about;
  if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
  return fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(about.st_mode);
}

/* Appends the name to the list of files or that of folders, at the top of L. */
static bool add_inside(void *data, const char *name, bool is_folder) {
  lua_State *L = data;
  int list = lua_gettop(L) - (is_folder ? 0 : 1);
  lua_pushstring(L, name);
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  return true;
}

/* Upvalue 1 is a place for the open folder, so that it is closed when memory runs out. */
static int l_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (archive_has_folder(path)) {
    lua_newtable(L);
    lua_newtable(L);
    archive_list(path, add_inside, L);
    return 2;
  }
  DIR *folder = opendir(path), **place = lua_touserdata(L, lua_upvalueindex(1));
  if (!folder) return fail(L, errno);
  if (*place) closedir(*place);
  *place = folder;
  lua_newtable(L); /* names of files */
  lua_newtable(L); /* names of folders */
  const struct dirent *entry;
  int top = lua_gettop(L);
  while (errno = 0, (entry = readdir(folder))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int list = is_folder(dirfd(folder), entry) ? top : top - 1;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  }
  int error = errno;
  *place = NULL;
  closedir(folder);
  return error ? fail(L, error) : 2;
}

static int l_list_gc(lua_State *L) {
  DIR **place = lua_touserdata(L, 1);
  if (*place) closedir(*place);
  *place = NULL;
  return 0;
}

static int l_unlock(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, LOCK);
  if (*fd >= 0) close(*fd);
  *fd = -1;
  return 0;
}

/* lock(path) -> lock, or false while another process has it; nil, message. The lock ends with the
   variable, or with the process. */
static int l_lock(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_unlock}, {NULL, NULL}};
  const char *path = luaL_checkstring(L, 1);
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  class_set(L, LOCK, methods, l_unlock, l_unlock);
  *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0) return fail(L, errno);
  if (flock(*fd, LOCK_EX | LOCK_NB) == 0) return 1;
  if (errno != EWOULDBLOCK) return fail(L, errno);
  lua_pushboolean(L, false);
  return 1;
}

/* make(path) -> true | nil, message: a new folder, or one that is there. */
static int l_make(lua_State *L) {
  if (mkdir(luaL_checkstring(L, 1), 0777) && errno != EEXIST) return fail(L, errno);
  lua_pushboolean(L, true);
  return 1;
}

int luaopen_moonloop_folder(lua_State *L) {
  static const luaL_Reg functions[] = {{"lock", l_lock}, {"make", l_make}, {NULL, NULL}};
  luaL_newlib(L, functions);
  /* list(path) -> files, folders: lists of names, in no order | nil, message. */
  class_set_with_place(L, "list", l_list, l_list_gc);
  return 1;
}
