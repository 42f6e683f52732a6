/* Errors of files that are sent and saved. */
#ifndef ML_FILES_H
#define ML_FILES_H

#include <lua.h>

/* Returns nil and the error: a libuv error about that path. One that tells of a lack of descriptors
   is counted, and answers a client with 503. */
int files_error(lua_State *L, int error, const char *path);

#endif
