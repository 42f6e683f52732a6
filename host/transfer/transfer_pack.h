/* Packing: shared by the walk (transfer_pack.c) and the parts that handle one kind of value.

   Nothing here recurses. The tables and functions being packed lie on the Lua stack, outermost
   first, each with a frame that records its progress. Everything may raise: transfer_pack catches
   it. */
#ifndef ML_TRANSFER_PACK_H
#define ML_TRANSFER_PACK_H

#include "transfer/transfer.h"
#include "transfer/transfer_format.h"

#include <lauxlib.h>
#include <string.h>

/* Stack indexes. */
#define PACK_NAMES 2      /* the table of names */
#define PACK_ANCHORS 3    /* a list of values made here, or nil: an address may not be used again */
#define PACK_FIRST_ROOT 4 /* the first value of the message */

/* A table, function or userdata that is being packed. On the stack, a table is followed by the key
   that lua_next wants, and that by the value while its key is being packed; or by its metatable. */
typedef struct PackFrame {
  enum { TABLE_ITEMS, TABLE_PAIRS, TABLE_VALUE, TABLE_META, FUNCTION, USERDATA } state;
  int index;      /* where it is on the stack */
  size_t offset;  /* of its tag */
  uint32_t items; /* packed so far; upvalues of a function */
  uint32_t pairs;
} PackFrame;

/* The position at which a value with an identity was packed. */
typedef struct PackSeen {
  const void *identity; /* NULL: a free slot */
  size_t offset;        /* of its tag; for an upvalue, of its function's; a code: its index */
  uint8_t upvalue;      /* for an upvalue, which one */
} PackSeen;

#define PACK_FEW_SEEN 16
#define PACK_FEW_FRAMES 8

typedef struct Packer {
  TransferMessage *message;
  Buffer *out;      /* its bytes */
  size_t max;       /* of them */
  Buffer scratch;   /* the code that is being dumped */
  const char *what; /* names the values in error messages */
  int count;
  int root; /* which value is being packed, from 1 */
  bool names_fresh;
  PackFrame *frames;
  size_t depth, frames_cap;
  PackSeen *seen; /* open addressing; a power of two slots */
  size_t seen_count, seen_cap;
  PackFrame few_frames[PACK_FEW_FRAMES];
  PackSeen few_seen[PACK_FEW_SEEN];
} Packer;

/* --- transfer_pack.c --- */

/* Packs the value on the top of L: a scalar at once, and pops it; a value with parts becomes the
   innermost frame. */
void transfer_pack_value(lua_State *L, Packer *p);

/* The value on the top of L becomes the innermost frame and stays where it is. */
PackFrame *transfer_pack_push_frame(lua_State *L, Packer *p, int state, size_t offset);

/* The innermost frame is complete: it leaves the stack. */
void transfer_pack_pop_frame(lua_State *L, Packer *p);

/* If the value on the top of L crosses by name, packs the name, pops it and returns true. */
bool transfer_pack_if_named(lua_State *L, Packer *p);

/* --- transfer_pack_table.c, transfer_pack_function.c: begin with the value on the top of L; go on
   with the innermost frame --- */

void transfer_pack_open_table(lua_State *L, Packer *p);
void transfer_pack_step_table(lua_State *L, Packer *p);
void transfer_pack_open_function(lua_State *L, Packer *p);
void transfer_pack_step_function(lua_State *L, Packer *p);

/* --- transfer_pack_seen.c: what was packed before --- */

/* Was it packed before? If not, notes that it will be, at `offset`. */
const PackSeen *transfer_pack_seen_before(lua_State *L, Packer *p, const void *identity,
                                          size_t offset, uint8_t upvalue);

/* If the value on the top of L was packed before, packs a reference, pops it and returns true. */
bool transfer_pack_if_seen(lua_State *L, Packer *p);

/* --- transfer_pack_refuse.c --- */

/* Raises "cannot send PATH: `problem`". The path leads from the innermost function, if there is
   one, to the value that was about to be packed. */
int transfer_pack_refuse(lua_State *L, Packer *p, const char *problem);

/* The same for a message that would exceed its limit. */
int transfer_pack_refuse_size(lua_State *L, Packer *p);

/* --- the bytes --- */

/* Raises that memory is out. */
static inline int transfer_pack_out_of_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* Makes room for `n` more bytes, within the limit of a message. */
static inline void transfer_pack_reserve(lua_State *L, Packer *p, size_t n) {
  if (n > p->max - p->out->len) transfer_pack_refuse_size(L, p);
  if (!buffer_reserve(p->out, n)) transfer_pack_out_of_memory(L);
}

/* Appends `n` bytes; raises when memory is out. */
static inline void transfer_pack_put(lua_State *L, Packer *p, const void *bytes, size_t n) {
  if (n > p->max - p->out->len) transfer_pack_refuse_size(L, p);
  if (!buffer_add(p->out, bytes, n)) transfer_pack_out_of_memory(L);
}

/* Appends the tag of what follows. */
static inline void transfer_pack_put_tag(lua_State *L, Packer *p, TransferTag tag) {
  transfer_pack_reserve(L, p, 1);
  p->out->data[p->out->len++] = (char)tag;
}

/* A tag and `n` <= 8 bytes. */
static inline void transfer_pack_put_tagged(lua_State *L, Packer *p, TransferTag tag,
                                            const void *bytes, size_t n) {
  transfer_pack_reserve(L, p, 9);
  char *at = p->out->data + p->out->len;
  *at = (char)tag;
  memcpy(at + 1, bytes, n);
  p->out->len += 1 + n;
}

/* If the value at `index` is a number, packs it. */
static inline bool transfer_pack_if_number(lua_State *L, Packer *p, int index) {
  if (lua_isinteger(L, index)) {
    lua_Integer value = lua_tointeger(L, index);
    transfer_pack_put_tagged(L, p, TRANSFER_INTEGER, &value, sizeof value);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number value = lua_tonumber(L, index);
    transfer_pack_put_tagged(L, p, TRANSFER_FLOAT, &value, sizeof value);
  } else {
    return false;
  }
  return true;
}

/* The offset of what is packed next. */
static inline size_t transfer_pack_here(const Packer *p) { return p->out->len; }

#endif
