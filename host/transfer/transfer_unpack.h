/* Unpacking: shared by the walk (transfer_unpack.c) and the fast path for numbers. */
#ifndef ML_TRANSFER_UNPACK_H
#define ML_TRANSFER_UNPACK_H

#include "transfer/transfer.h"
#include "transfer/transfer_format.h"

#include <lauxlib.h>
#include <string.h>

/* A table, function or userdata that is being filled. */
typedef struct UnpackFrame {
  enum { TABLE, FUNCTION, USERDATA } type;
  uint8_t kind;   /* TransferTableKind */
  bool have_key;  /* the key of the next pair lies on the stack */
  bool shared;    /* it is referred to */
  bool meta;      /* its metatable is still to come */
  int index;      /* where it is on the stack; a userdata: where its type is */
  size_t offset;  /* of its tag */
  uint32_t done;  /* items or upvalues that are in place */
  uint32_t items; /* items or upvalues that it has */
  uint32_t pairs; /* still to come */
} UnpackFrame;

#define UNPACK_FEW_FRAMES 8

typedef struct Unpacker {
  const TransferMessage *message;
  const char *data; /* its bytes */
  size_t size, at;
  UnpackFrame *frames;
  size_t depth, cap;
  UnpackFrame few_frames[UNPACK_FEW_FRAMES];
} Unpacker;

/* Raises. */
static inline int unpack_damaged(lua_State *L, const Unpacker *u) {
  return luaL_error(L, "damaged message (at byte %I)", (lua_Integer)u->at);
}

/* The `n` bytes that come next. */
static inline const char *unpack_take(lua_State *L, Unpacker *u, size_t n) {
  if (u->size - u->at < n) unpack_damaged(L, u);
  const char *bytes = u->data + u->at;
  u->at += n;
  return bytes;
}

/* The byte that comes next. */
static inline uint8_t unpack_take_u8(lua_State *L, Unpacker *u) {
  return (uint8_t)*unpack_take(L, u, 1);
}

/* Declares `name` and reads it. */
#define UNPACK_TAKE(type, name)                                                                    \
  type name;                                                                                       \
  memcpy(&name, unpack_take(L, u, sizeof name), sizeof name)

/* --- transfer_unpack_numbers.c --- */

/* Puts the numbers that come next into the list of the innermost frame. */
void transfer_unpack_numbers(lua_State *L, Unpacker *u, UnpackFrame *f);

#endif
