/* Values that cross to another Lua state: packed into bytes in one, unpacked in the other. Nothing
   is shared between the two states, so they may belong to different threads.

   What crosses: nil, booleans, integers, floats, strings, ml.json.null, tables (nested, shared and
   cyclic: identity is kept inside one message; with their metatable, unless it has a finalizer),
   Lua functions (code with its debug information, upvalues copied, shared upvalues shared again,
   `_ENV` becomes the receiver's globals), and registered userdata. By name cross the tables of
   modules that the receiver can load, the functions of the standard library and of moonloop, and C
   functions of any loaded module.

   A message is bytes, and the code of the functions in it, which it shares with the states that
   load it (transfer_code.h). The code is trusted: Lua does not check it. The bytes are checked.
   Messages are valid only within one process (addresses, byte order, Lua version). */
#ifndef ML_TRANSFER_H
#define ML_TRANSFER_H

#include "transfer/transfer_code.h"

#include <stdbool.h>

/* All zero is an empty message that owns nothing. */
typedef struct TransferMessage {
  Buffer bytes;
  Code **codes; /* each is held; the bytes name them by their index */
  uint32_t code_count, code_cap;
  size_t max_bytes; /* its limit; 0: TRANSFER_MAX_BYTES, which is also the maximum */
} TransferMessage;

/* A message that would be longer is refused. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define TRANSFER_MAX_BYTES ((size_t)16 << 10)
#else
#define TRANSFER_MAX_BYTES ((size_t)1 << 30)
#endif

/* Empties the message and keeps its memory, and its limit, for the next one. */
void transfer_clear(TransferMessage *message);

/* Frees what the message owns: it is empty and may be used again. */
void transfer_free(TransferMessage *message);

/* Makes `out` a message of the `count` values on L's stack from `first` on, replacing its content.
   Runs none of the user's Lua code and no metamethods. Never raises: on failure it returns false,
   `out` is empty, and a string is pushed on L that names the variable: "cannot send argument
   #2.items[3]: a coroutine". A metatable's string `__stays` says what its tables are, which then
   cannot cross: "a lock, which ...". `what` names the values for it: "argument #" (a number follows
   what ends in #) or "the error". The caller owns `out`. */
bool transfer_pack(lua_State *L, int first, int count, const char *what, TransferMessage *out);

/* Pushes the values of a message and returns their number. The message stays as it is; several
   threads may unpack it at once. Never raises: on failure it returns -1 and pushes one string that
   says why (memory, bytes that are no message, a module that cannot be loaded here). Loading a
   module that a value names may run its code. */
int transfer_unpack(lua_State *L, const TransferMessage *message);

/* Declares that the table at `index` is what `require(name)` returns in any state: it crosses by
   that name. May raise if memory is out. */
void transfer_note_module(lua_State *L, const char *name, int index);

/* Lets full userdata with the registered metatable `metatable` (luaL_newmetatable's name) cross.
   `pack` is called with the userdata and returns one value that can cross and stands for it, or nil
   and why this one cannot: "a ..., which ...";
   `unpack` is called with that value in the other state and returns the userdata. Both may raise
   and must not yield. Each state registers for itself, when the module whose name `metatable`
   begins with is loaded: a receiver loads that module on its own. */
void transfer_register(lua_State *L, const char *metatable, lua_CFunction pack,
                       lua_CFunction unpack);

#endif
