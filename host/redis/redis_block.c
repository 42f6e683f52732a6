#include "redis/redis_block.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL = 64 << 10, LARGEST_KEPT = 1 << 20 };

void redis_block_release(RedisBlock *block) {
  if (block && --block->refs == 0) free(block);
}

void redis_block_forget(RedisInput *in) {
  redis_block_release(in->block);
  *in = (RedisInput){0};
}

/* Starts a new block with the bytes of the incomplete reply. */
static bool replace(RedisInput *in, size_t least) {
  size_t part = in->block ? in->block->len - in->from : 0;
  size_t cap = 2 * part + least > USUAL ? 2 * part + least : USUAL;
  RedisBlock *block = malloc(sizeof *block + cap);
  if (!block) return false;
  *block = (RedisBlock){.refs = 1, .len = part, .cap = cap};
  if (part) memcpy(block->data, in->block->data + in->from, part);
  redis_block_release(in->block);
  in->block = block;
  in->from = 0;
  return true;
}

bool redis_block_reserve(RedisInput *in, size_t least) {
  RedisBlock *block = in->block;
  if (!block) return replace(in, least);
  if (block->refs == 1 && in->from == block->len) {
    if (block->cap > LARGEST_KEPT && least < block->cap / 4) return replace(in, least);
    block->len = in->from = 0;
  }
  if (block->cap - block->len >= least) return true;
  if (block->refs > 1 || block->len - in->from > in->from) return replace(in, least);
  memmove(block->data, block->data + in->from, block->len - in->from);
  block->len -= in->from;
  in->from = 0;
  return block->cap - block->len >= least || replace(in, least);
}

/* Extends the last slice if the reply directly follows it. */
static bool extend(RedisSlice *last, const RedisInput *in, size_t n) {
  if (last->block != in->block || last->to != in->from) return false;
  last->to += n;
  last->replies++;
  return true;
}

/* Makes room for one more in `more`. */
static bool grow(RedisSlices *s) {
  if (s->taken && s->taken > s->count / 2) {
    s->count -= s->taken;
    memmove(s->more, s->more + s->taken, s->count * sizeof *s->more);
    s->taken = 0;
  }
  if (s->more && s->count < s->cap) return true;
  unsigned cap = s->cap ? s->cap * 2 : 8;
  RedisSlice *more = realloc(s->more, cap * sizeof *more);
  if (!more) return false;
  if (!s->more && s->count) more[0] = s->one;
  s->more = more;
  s->cap = cap;
  return true;
}

bool redis_block_add(RedisSlices *s, const RedisInput *in, size_t n) {
  RedisSlice slice = {.block = in->block, .from = in->from, .to = in->from + n, .replies = 1};
  if (s->count > s->taken && extend(&redis_block_slices(s)[s->count - 1], in, n)) return true;
  if (!s->count && !s->more) {
    s->one = slice;
  } else {
    if (!grow(s)) return false;
    s->more[s->count] = slice;
  }
  s->count++;
  in->block->refs++;
  return true;
}

RedisSlice *redis_block_first(RedisSlices *s) {
  return s->count > s->taken ? &redis_block_slices(s)[s->taken] : NULL;
}

void redis_block_shift(RedisSlices *s) {
  redis_block_release(redis_block_slices(s)[s->taken++].block);
  if (s->taken == s->count) s->taken = s->count = 0;
}

void redis_block_clear(RedisSlices *s) {
  while (s->count > s->taken) redis_block_shift(s);
  free(s->more);
  *s = (RedisSlices){0};
}
