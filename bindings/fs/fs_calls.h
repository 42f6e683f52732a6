/* The functions of moonloop.fs.core, by what they work on. */
#ifndef ML_FS_CALLS_H
#define ML_FS_CALLS_H

#include <lua.h>

/* Each puts its functions into the table on the top of L. */
void fs_calls_open_content(lua_State *L); /* read, write, copy */
void fs_calls_open_stat(lua_State *L);    /* stat, lstat, exists, chmod, utime */
void fs_calls_open_names(lua_State *L);   /* rename, link, symlink, readlink, realpath, remove */
void fs_calls_open_folders(lua_State *L); /* list, entries, mkdir, temp_dir */
void fs_calls_open_watch(lua_State *L);   /* watch */
void fs_calls_open_streams(lua_State *L); /* open, temp_file */

#endif
