#include "memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
/* A state that has grown this large gets huge pages: many tasks fault 500 times less often. */
#define HUGE_FROM ((size_t)2 * 1024 * 1024)
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)

typedef struct MemoryChunk {
  struct MemoryChunk *next;
  _Alignas(MEMORY_GRAIN) char bytes[];
} MemoryChunk;

#ifdef ML_DEBUG

void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size) {
  (void)memory;
  (void)old_size;
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

#else

static size_t grains_of(size_t size) { return (size + MEMORY_GRAIN - 1) / MEMORY_GRAIN; }

/* The rest of the old chunk goes to the free list of its size. */
static void *take_from_new_chunk(Memory *m, size_t bytes) {
  bool huge = m->chunk_bytes >= HUGE_FROM;
  size_t size = huge ? HUGE_PAGE : CHUNK_BYTES;
  MemoryChunk *chunk = huge ? aligned_alloc(HUGE_PAGE, size) : malloc(size);
  if (!chunk) return NULL;
  if (huge) madvise(chunk, size, MADV_HUGEPAGE); /* advice: nothing depends on it */
  m->chunk_bytes += size;
  size_t rest = (size_t)(m->end - m->next);
  if (rest >= MEMORY_GRAIN) {
    size_t grains = rest / MEMORY_GRAIN;
    *(void **)(void *)m->next = m->free[grains];
    m->free[grains] = m->next;
  }
  chunk->next = m->chunks;
  m->chunks = chunk;
  m->next = chunk->bytes + bytes;
  m->end = (char *)chunk + size;
  return chunk->bytes;
}

static void *take(Memory *m, size_t size) {
  if (size > MEMORY_SMALL_MAX) return malloc(size);
  size_t grains = grains_of(size), bytes = grains * MEMORY_GRAIN;
  void *block = m->free[grains];
  if (block) {
    m->free[grains] = *(void **)block;
    return block;
  }
  if ((size_t)(m->end - m->next) < bytes) return take_from_new_chunk(m, bytes);
  block = m->next;
  m->next += bytes;
  return block;
}

static void put(Memory *m, void *block, size_t size) {
  if (size > MEMORY_SMALL_MAX) {
    free(block);
    return;
  }
  size_t grains = grains_of(size);
  *(void **)block = m->free[grains];
  m->free[grains] = block;
}

void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size) {
  Memory *m = memory;
  if (!block) return new_size ? take(m, new_size) : NULL;
  if (new_size == 0) {
    put(m, block, old_size);
    return NULL;
  }
  if (old_size > MEMORY_SMALL_MAX && new_size > MEMORY_SMALL_MAX) return realloc(block, new_size);
  if (old_size <= MEMORY_SMALL_MAX && new_size <= MEMORY_SMALL_MAX &&
      grains_of(old_size) == grains_of(new_size))
    return block;
  void *moved = take(m, new_size);
  if (!moved) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  put(m, block, old_size);
  return moved;
}

#endif

void memory_close(Memory *memory) {
  for (MemoryChunk *chunk = memory->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  *memory = (Memory){0};
}
