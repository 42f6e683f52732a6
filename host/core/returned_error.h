/* The error object that was last returned to a script with a nil, and the function that got it: if
   that function then indexes a nil, the object explains it. */
#ifndef ML_RETURNED_ERROR_H
#define ML_RETURNED_ERROR_H

#include <lua.h>
#include <stdbool.h>

/* The runtime's part. */
typedef struct ReturnedError {
  int error_ref; /* registry */
  int place_ref; /* registry: the function and the thread, held weakly */
} ReturnedError;

/* Opens the part (called once a state). */
void returned_error_open(lua_State *L);

/* The value at `index` is about to be returned to the script's function running in L. */
void returned_error_note(lua_State *L, int index);

/* Pushes the error object last returned to the function at `index` in L, or nil. */
void returned_error_push(lua_State *L, int index);

#endif
