/* The code of functions that cross between states: bytes that any number of states and messages
   share and nobody changes. A state dumps a function once, and functions with the same bytecode
   share it; a state that has loaded a code remembers that. What is remembered is bounded, and keeps
   the code alive, so that an address always means the same bytes. */
#ifndef ML_TRANSFER_CODE_H
#define ML_TRANSFER_CODE_H

#include "buffer.h"

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
Code *code_hold(Code *code);
void code_drop(Code *code);

/* The code of the Lua function on the top of L if it was asked for before, or NULL. */
Code *code_known(lua_State *L);

/* The code of the Lua function on the top of L, which stays there, when code_known has none. The
   state keeps the code at
   least as long as the function; for longer, hold it. `scratch` is the caller's, and is
   overwritten. Raises when memory is out. */
Code *code_of_function(lua_State *L, Buffer *scratch);

/* Pushes a function made of the code, whose upvalues are the caller's to set. One that has none but
   `_ENV` is loaded once and is then the same each time, unless it is to be `another` one: then, and
   with other upvalues, the bytes are loaded. Raises when memory is out. */
void code_push_function(lua_State *L, Code *code, bool another);

#endif
