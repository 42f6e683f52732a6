/* Spare buffers of one size. They are borrowed for a short time, so that thousands of waiting
   connections hold none. */
#ifndef ML_BUFFER_POOL_H
#define ML_BUFFER_POOL_H

#include "base/buffer.h"
#include <stdlib.h>

/* The size of the buffers of a pool: just above `bytes`, and none that a buffer grows to. One that
   has grown would go to a pool that it was not taken from, and pile up there. */
#define BUFFER_POOL_SIZE(bytes) ((bytes) / BUFFER_GRAIN * BUFFER_GRAIN + BUFFER_GRAIN / 4)

/* All zero except `size`, a BUFFER_POOL_SIZE, is an empty pool. */
typedef struct BufferPool {
  size_t size;  /* bytes of each */
  void *spare;  /* the first bytes of each point to the next */
  size_t count; /* of the spare ones */
} BufferPool;

/* Gives `b` a buffer if it has none. When memory is out it still has none. */
static inline void buffer_pool_take(BufferPool *pool, Buffer *b) {
  if (b->data) return;
  void *data = pool->spare;
  if (data) {
    pool->spare = *(void **)data;
    pool->count--;
  } else if (!(data = malloc(pool->size))) {
    return;
  }
  b->data = data;
  b->cap = pool->size;
}

/* Takes back the buffer of `b`, which is then empty. A buffer that has grown is freed. */
static inline void buffer_pool_give(BufferPool *pool, Buffer *b) {
  if (b->cap != pool->size) {
    buffer_free(b);
    return;
  }
  *(void **)(void *)b->data = pool->spare;
  pool->spare = b->data;
  pool->count++;
  *b = (Buffer){0};
}

/* Frees spare buffers until no more than `keep` are left. */
static inline void buffer_pool_trim(BufferPool *pool, size_t keep) {
  for (; pool->count > keep; pool->count--) {
    void *data = pool->spare;
    pool->spare = *(void **)data;
    free(data);
  }
}

#endif
