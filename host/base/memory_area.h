/* How the small blocks of a Memory lie in the memory of the system. */
#ifndef ML_MEMORY_AREA_H
#define ML_MEMORY_AREA_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* Blocks are cut from chunks, which are aligned to their size, so a block's chunk can be
   computed. */
#define CHUNK_BYTES ((size_t)64 * 1024)
/* A single chunk leaves room for malloc's words, so that the next one can follow directly. */
#define CHUNK_USED (CHUNK_BYTES - 64)
#define PAGE_BYTES ((size_t)4 * 1024)
#define CHUNK_PAGES 16 /* a bit each */
#define ALL_PAGES 0xffffu
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)
#define CHUNKS 32 /* of a huge page: a bit each */
#define ALL_CHUNKS UINT32_MAX

typedef struct MemoryChunk {
  struct MemoryChunk *next;   /* in the list of those with pages that are gone */
  uint16_t gone;              /* pages that were returned to the system: no block is there */
  uint16_t going;             /* pages that will be, once their blocks are in no list */
  uint16_t free[CHUNK_PAGES]; /* bytes of free blocks in each page, while they are counted */
  _Alignas(MEMORY_GRAIN) char bytes[];
} MemoryChunk;

/* One chunk, or a huge page of them. */
typedef struct MemoryArea {
  struct MemoryArea *next;
  char *start;
  bool huge;
  uint32_t empty; /* bits of the chunks without blocks */
} MemoryArea;

static inline unsigned memory_area_chunks(const MemoryArea *area) {
  return area->huge ? CHUNKS : 1;
}

static inline MemoryChunk *memory_area_chunk(const MemoryArea *area, unsigned i) {
  return (MemoryChunk *)(void *)(area->start + i * CHUNK_BYTES);
}

static inline MemoryChunk *memory_chunk_of(const void *block) {
  return (MemoryChunk *)((uintptr_t)block & ~(CHUNK_BYTES - 1));
}

static inline void memory_put(Memory *m, void *block, size_t grains) {
  *(void **)block = m->free[grains];
  m->free[grains] = block;
}

#endif
