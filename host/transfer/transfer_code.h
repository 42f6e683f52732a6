/* The code of functions that cross between states: immutable bytes shared by any number of states
   and messages. A state dumps a function once, and functions with the same bytecode share the code;
   a state remembers the codes that it has loaded. That memory is bounded, and keeps the codes
   alive, so that an address always means the same bytes. */
#ifndef ML_TRANSFER_CODE_H
#define ML_TRANSFER_CODE_H

#include "base/buffer.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Code {
  atomic_size_t refs;
  size_t size;
  uint8_t upvalues; /* that the function has */
  char bytes[];     /* as lua_dump wrote them, with what tracebacks need */
} Code;

/* Any thread may hold and drop. */
Code *transfer_code_hold(Code *code);
void transfer_code_drop(Code *code);

/* The code of the Lua function on the top of L if it is known, or NULL. */
Code *transfer_code_known(lua_State *L);

/* The code of the Lua function on the top of L, which stays there, when transfer_code_known has
   none. The state keeps the code at least as long as the function; for longer, hold it. `scratch`
   is the caller's, and is overwritten. Raises when memory is out. */
Code *transfer_code_of_function(lua_State *L, Buffer *scratch);

/* Pushes a function made from the code; the caller sets its upvalues. A function with no upvalue
   but `_ENV` is loaded once and then reused, unless `another` one is wanted; then, and with other
   upvalues, the bytes are loaded again. Raises if memory is out. */
void transfer_code_push_function(lua_State *L, Code *code, bool another);

#endif
