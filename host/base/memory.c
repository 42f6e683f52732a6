#include "base/memory.h"

#include "base/memory_area.h"
#include "base/memory_trim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A state that has grown this large gets huge pages: many tasks then cause 500 times fewer page
   faults. */
#define HUGE_FROM ((size_t)2 * 1024 * 1024)

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

/* Makes a new chunk the one that blocks are cut from. */
static bool open_chunk(Memory *m) {
  MemoryArea *area = m->areas;
  while (area && !area->empty) area = area->next;
  if (!area) {
    if (!add_area(m)) return false;
    area = m->areas;
  }
  /* Only advice: nothing depends on it. */
  if (area->empty == ALL_CHUNKS) madvise(area->start, HUGE_PAGE, MADV_HUGEPAGE);
  MemoryChunk *chunk = memory_area_chunk(area, (unsigned)__builtin_ctz(area->empty));
  area->empty &= area->empty - 1;
  memset(chunk, 0, sizeof *chunk);
  m->next = chunk->bytes;
  m->end = (char *)chunk + CHUNK_USED;
  return true;
}

/* The same with pages that were returned, beside blocks that are in use. */
static bool open_pages(Memory *m) {
  MemoryChunk *chunk = m->partly_gone;
  if (!chunk) return false;
  unsigned first = (unsigned)__builtin_ctz(chunk->gone);
  unsigned behind = first + (unsigned)__builtin_ctz(~((unsigned)chunk->gone >> first));
  chunk->gone &= (uint16_t)(chunk->gone + (1u << first));
  if (!chunk->gone) m->partly_gone = chunk->next;
  m->next = (char *)chunk + first * PAGE_BYTES;
  m->end = (char *)chunk + (behind < CHUNK_PAGES ? behind * PAGE_BYTES : CHUNK_USED);
  return true;
}

/* The rest of the old chunk goes to the free list for its size. Seldom, and kept out of the way of
   other blocks, for the locals in it. */
__attribute__((noinline)) static void *take_slowly(Memory *m, size_t grains) {
  if (m->trim) {
    void *block = memory_trim_take(m, grains);
    if (block) return block;
  }
  char *rest = m->next;
  size_t left = (size_t)(m->end - m->next);
  if (!open_pages(m) && !open_chunk(m)) return NULL;
  if (left >= MEMORY_GRAIN) memory_put(m, rest, left / MEMORY_GRAIN);
  void *block = m->next;
  m->next += grains * MEMORY_GRAIN;
  return block;
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
  if ((size_t)(m->end - m->next) < bytes) return take_slowly(m, grains);
  block = m->next;
  m->next += bytes;
  return block;
}

static void put(Memory *m, void *block, size_t size) {
  if (size > MEMORY_SMALL_MAX) {
    put_large(m, block, size);
    return;
  }
  memory_put(m, block, grains_of(size));
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

#endif

void memory_close(Memory *memory) {
  for (MemoryArea *area = memory->areas, *next; area; area = next) {
    next = area->next;
    free(area->start);
    free(area);
  }
  huge_block_trim(&memory->huge);
  free(memory->trim);
  *memory = (Memory){0};
}
