/* Bytes read from a server. A block lives as long as a slice refers to it, so replies stay where
   they were read until their task turns them into Lua values. */
#ifndef ML_REDIS_BLOCK_H
#define ML_REDIS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct RedisBlock {
  unsigned refs;
  size_t len, cap;
  char data[];
} RedisBlock;

/* Complete replies, back to back. The slice keeps its block alive. */
typedef struct RedisSlice {
  RedisBlock *block;
  size_t from, to;
  unsigned replies;
} RedisSlice;

/* Slices in order of arrival. All zero is empty. */
typedef struct RedisSlices {
  RedisSlice one, *more; /* `more` replaces `one` once there are several */
  unsigned count, cap, taken;
} RedisSlices;

/* Where incoming bytes go: the current block, and how much of it has been handed out as replies.
   All zero: no block yet. */
typedef struct RedisInput {
  RedisBlock *block;
  size_t from; /* start of the incomplete reply */
} RedisInput;

/* Makes room for at least `least` more bytes at the end. False when out of memory. */
bool redis_block_reserve(RedisInput *in, size_t least);

/* Releases the block. */
void redis_block_release(RedisBlock *block);
void redis_block_forget(RedisInput *in);

/* Adds the reply of `n` bytes that begins at in->from. False when out of memory. */
bool redis_block_add(RedisSlices *slices, const RedisInput *in, size_t n);

/* The oldest slice, or NULL; removes it. */
RedisSlice *redis_block_first(RedisSlices *slices);
void redis_block_shift(RedisSlices *slices);

/* All slices, oldest first. */
static inline RedisSlice *redis_block_slices(RedisSlices *slices) {
  return slices->more ? slices->more : &slices->one;
}

/* Releases all of them. */
void redis_block_clear(RedisSlices *slices);

#endif
