/* Spare buffers: who needs one for a short time takes it here and gives it back, so that thousands
   who wait hold none. */
#ifndef ML_BUFFER_POOL_H
#define ML_BUFFER_POOL_H

#include "buffer.h"

enum { BUFFER_POOL_SPARE = 256 }; /* buffers at most */

/* All zero but `largest` is an empty pool. */
typedef struct BufferPool {
  size_t largest; /* bytes: a larger one would be wasted on what needs less */
  Buffer spare[BUFFER_POOL_SPARE];
  size_t count;
} BufferPool;

/* Gives `b` a spare buffer if it has none and there is one. */
static inline void buffer_pool_take(BufferPool *pool, Buffer *b) {
  if (!b->data && pool->count) *b = pool->spare[--pool->count];
}

/* Takes what `b` has; it is empty then. */
static inline void buffer_pool_give(BufferPool *pool, Buffer *b) {
  if (b->data && b->cap <= pool->largest && pool->count < BUFFER_POOL_SPARE) {
    b->len = 0;
    pool->spare[pool->count++] = *b;
    *b = (Buffer){0};
  } else {
    buffer_free(b);
  }
}

/* Frees the spare ones. */
static inline void buffer_pool_close(BufferPool *pool) {
  while (pool->count) buffer_free(&pool->spare[--pool->count]);
}

#endif
