#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks are cut from chunks, which are aligned to their size, so a block's chunk can be
   computed. */
#define CHUNK_BYTES ((size_t)64 * 1024)
/* A single chunk leaves room for malloc's words, so that the next one can follow directly. */
#define CHUNK_USED (CHUNK_BYTES - 64)
/* A state that has grown this large gets huge pages: many tasks then cause 500 times fewer page
   faults. */
#define HUGE_FROM ((size_t)2 * 1024 * 1024)
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)
#define CHUNKS 32 /* of a huge page: a bit each */
#define ALL_CHUNKS UINT32_MAX

typedef struct MemoryChunk {
  size_t free; /* bytes of free blocks, while memory_trim counts them */
  _Alignas(MEMORY_GRAIN) char bytes[];
} MemoryChunk;

#define CHUNK_ROOM (CHUNK_USED - sizeof(MemoryChunk))

/* One chunk, or a huge page of them. */
typedef struct MemoryArea {
  struct MemoryArea *next;
  char *start;
  bool huge;
  uint32_t empty; /* bits of the chunks without blocks */
} MemoryArea;

static void note_size(Memory *m, size_t size) {
  if (size >= MEMORY_LARGE) m->large += size;
}

#ifdef ML_DEBUG

void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size) {
  (void)old_size;
  note_size(memory, new_size);
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

void memory_trim(Memory *memory) { (void)memory; }

#else

static size_t grains_of(size_t size) { return (size + MEMORY_GRAIN - 1) / MEMORY_GRAIN; }

/* Moves an area with an empty chunk to the front. False if memory is out. */
static bool add_area(Memory *m) {
  bool huge = m->bytes >= HUGE_FROM;
  MemoryArea *area = malloc(sizeof *area);
  void *start;
  if (!area ||
      posix_memalign(&start, huge ? HUGE_PAGE : CHUNK_BYTES, huge ? HUGE_PAGE : CHUNK_USED)) {
    free(area);
    return false;
  }
  *area = (MemoryArea){m->areas, start, huge, huge ? ALL_CHUNKS : 1};
  m->areas = area;
  m->bytes += huge ? HUGE_PAGE : CHUNK_BYTES;
  return true;
}

static MemoryChunk *take_chunk(Memory *m) {
  MemoryArea *area = m->areas;
  while (area && !area->empty) area = area->next;
  if (!area) {
    if (!add_area(m)) return NULL;
    area = m->areas;
  }
  /* Only advice: nothing depends on it. */
  if (area->empty == ALL_CHUNKS) madvise(area->start, HUGE_PAGE, MADV_HUGEPAGE);
  size_t i = (size_t)__builtin_ctz(area->empty);
  area->empty &= area->empty - 1;
  return (MemoryChunk *)(void *)(area->start + i * CHUNK_BYTES);
}

/* The rest of the old chunk goes to the free list for its size. Seldom, and kept out of the way of
   other blocks, for the locals in it. */
__attribute__((noinline)) static void *take_from_new_chunk(Memory *m, size_t bytes) {
  MemoryChunk *chunk = take_chunk(m);
  if (!chunk) return NULL;
  size_t rest = (size_t)(m->end - m->next);
  if (rest >= MEMORY_GRAIN) {
    size_t grains = rest / MEMORY_GRAIN;
    *(void **)(void *)m->next = m->free[grains];
    m->free[grains] = m->next;
  }
  m->next = chunk->bytes + bytes;
  m->end = chunk->bytes + CHUNK_ROOM;
  return chunk->bytes;
}

static void *take_large(Memory *m, size_t size) {
  return huge_block_is_for(size) ? huge_block_new(&m->huge, size) : malloc(size);
}

static void put_large(Memory *m, void *block, size_t size) {
  if (huge_block_is_for(size))
    huge_block_free(&m->huge, block, size);
  else
    free(block);
}

/* The large block resized to `new_size`, which is large, too. */
static void *resize_large(Memory *m, void *block, size_t old_size, size_t new_size) {
  bool was_huge = huge_block_is_for(old_size), is_huge = huge_block_is_for(new_size);
  if (was_huge && is_huge) return huge_block_resize(block, old_size, new_size);
  if (!was_huge && !is_huge) return realloc(block, new_size);
  void *moved = take_large(m, new_size);
  if (!moved) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  put_large(m, block, old_size);
  return moved;
}

static void *take(Memory *m, size_t size) {
  if (size > MEMORY_SMALL_MAX) {
    note_size(m, size);
    return take_large(m, size);
  }
  size_t grains = grains_of(size), bytes = grains * MEMORY_GRAIN;
  void *block = m->free[grains];
  if (block) {
    void *next = *(void **)block;
    __builtin_prefetch(next, 1); /* before the next one is read */
    m->free[grains] = next;
    return block;
  }
  if ((size_t)(m->end - m->next) < bytes) return take_from_new_chunk(m, bytes);
  block = m->next;
  m->next += bytes;
  return block;
}

static void put(Memory *m, void *block, size_t size) {
  if (size > MEMORY_SMALL_MAX) {
    put_large(m, block, size);
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
  if (old_size > MEMORY_SMALL_MAX && new_size > MEMORY_SMALL_MAX) {
    note_size(m, new_size);
    return resize_large(m, block, old_size, new_size);
  }
  if (old_size <= MEMORY_SMALL_MAX && new_size <= MEMORY_SMALL_MAX &&
      grains_of(old_size) == grains_of(new_size))
    return block;
  void *moved = take(m, new_size);
  if (!moved) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  put(m, block, old_size);
  return moved;
}

static MemoryChunk *chunk_of(void *block) {
  return (MemoryChunk *)((uintptr_t)block & ~(CHUNK_BYTES - 1));
}

static bool is_empty(void *block) { return chunk_of(block)->free == CHUNK_ROOM; }

static MemoryChunk *chunk_in(const MemoryArea *area, unsigned i) {
  return (MemoryChunk *)(void *)(area->start + i * CHUNK_BYTES);
}

/* Sets the count of each chunk that has blocks. */
static void count_free(Memory *m) {
  for (MemoryArea *area = m->areas; area; area = area->next)
    for (unsigned i = 0; i < (area->huge ? CHUNKS : 1); i++)
      if (!(area->empty & 1u << i)) chunk_in(area, i)->free = 0;
  for (size_t grains = 1; grains <= MEMORY_SMALL_MAX / MEMORY_GRAIN; grains++)
    for (void *block = m->free[grains]; block; block = *(void **)block)
      chunk_of(block)->free += grains * MEMORY_GRAIN;
  if (m->next < m->end) chunk_of(m->next)->free += (size_t)(m->end - m->next);
}

/* Removes the blocks of empty chunks from the lists. */
static void drop_blocks(Memory *m) {
  for (size_t grains = 1; grains <= MEMORY_SMALL_MAX / MEMORY_GRAIN; grains++)
    for (void **link = &m->free[grains]; *link;)
      if (is_empty(*link))
        *link = *(void **)*link;
      else
        link = *link;
  if (m->next < m->end && is_empty(m->next)) m->next = m->end = NULL;
}

static void free_area(Memory *m, MemoryArea **link) {
  MemoryArea *area = *link;
  *link = area->next;
  m->bytes -= CHUNK_BYTES;
  free(area->start);
  free(area);
}

/* Returns the empty part of a huge page. A huge page is present as a whole, however little of it is
   used, and would be again without the first advice. */
static void empty_chunks(MemoryArea *area) {
  madvise(area->start, HUGE_PAGE, MADV_NOHUGEPAGE);
  for (unsigned i = 0; i < CHUNKS; i++)
    if (area->empty & 1u << i) madvise(chunk_in(area, i), CHUNK_BYTES, MADV_DONTNEED);
}

void memory_trim(Memory *m) {
  huge_block_trim(&m->huge);
  count_free(m);
  drop_blocks(m);
  for (MemoryArea **link = &m->areas, *area; (area = *link);) {
    for (unsigned i = 0; i < (area->huge ? CHUNKS : 1); i++)
      if (!(area->empty & 1u << i) && chunk_in(area, i)->free == CHUNK_ROOM) area->empty |= 1u << i;
    if (area->empty && !area->huge) {
      free_area(m, link);
      continue;
    }
    if (area->empty) empty_chunks(area);
    link = &area->next;
  }
}

#endif

void memory_close(Memory *memory) {
  for (MemoryArea *area = memory->areas, *next; area; area = next) {
    next = area->next;
    free(area->start);
    free(area);
  }
  huge_block_trim(&memory->huge);
  *memory = (Memory){0};
}
