#include "base/memory_trim.h"

#include "base/memory_area.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Pages are returned one by one: after a burst, what lives on lies scattered, an object here and
   there in most of the chunks.

   The lists of free blocks are long then, and each block of them is a cache miss. So it is done in
   steps, between which blocks are taken and freed as ever:

   1. Each block is moved from its list to one of counted ones, and counted for its pages.
   2. The pages without a block in use are marked as going.
   3. The counted blocks return to their lists, except those of the pages that go.
   4. The pages are returned. */

/* Of one step. */
#define BLOCKS 2048
#define AREAS 4
/* A request that finds no free block looks at so many counted ones. */
#define TRIES 64

/* A huge page is split if this many of its pages are free. */
#define SPLIT_FROM (CHUNKS * CHUNK_PAGES / 8)

typedef enum Stage { STAGE_COUNT, STAGE_MARK, STAGE_SORT, STAGE_RETURN } Stage;

typedef struct MemoryTrim {
  Stage stage;
  size_t grains;     /* of the list that is counted or sorted */
  MemoryArea **link; /* to the next area that is marked or returned */
  void *counted[MEMORY_SMALL_MAX / MEMORY_GRAIN + 1];
} MemoryTrim;

#ifndef ML_DEBUG

/* --- blocks --- */

static unsigned page_of(const MemoryChunk *chunk, const char *address) {
  return (unsigned)((size_t)(address - (const char *)chunk) / PAGE_BYTES);
}

/* Adds `sign` times the bytes of the block to what is free in its pages. A block is shorter than a
   page. */
static void count_block(char *block, size_t grains, int sign) {
  MemoryChunk *chunk = memory_chunk_of(block);
  size_t bytes = grains * MEMORY_GRAIN, here = PAGE_BYTES - ((uintptr_t)block & (PAGE_BYTES - 1));
  unsigned page = page_of(chunk, block);
  if (here > bytes) here = bytes;
  chunk->free[page] = (uint16_t)(chunk->free[page] + sign * (int)here);
  if (here < bytes)
    chunk->free[page + 1] = (uint16_t)(chunk->free[page + 1] + sign * (int)(bytes - here));
}

/* Does the block lie in a page that goes? Its part in another page is put into a list. */
static bool goes(Memory *m, char *block, size_t grains) {
  const MemoryChunk *chunk = memory_chunk_of(block);
  char *end = block + grains * MEMORY_GRAIN;
  unsigned first = page_of(chunk, block), last = page_of(chunk, end - 1);
  bool first_goes = chunk->going & 1u << first, last_goes = chunk->going & 1u << last;
  if (!first_goes && !last_goes) return false;
  if (first_goes && last_goes) return true;
  char *border = (char *)(uintptr_t)chunk + last * PAGE_BYTES;
  if (first_goes)
    memory_put(m, border, (size_t)(end - border) / MEMORY_GRAIN);
  else
    memory_put(m, block, (size_t)(border - block) / MEMORY_GRAIN);
  return true;
}

static void *pop(void **list) {
  void *block = *list;
  if (block) *list = *(void **)block;
  return block;
}

void *memory_trim_take(Memory *m, size_t grains) {
  for (int i = 0; i < TRIES; i++) {
    void *block = pop(&m->trim->counted[grains]);
    if (!block) return NULL;
    if (goes(m, block, grains)) continue;
    count_block(block, grains, -1);
    return block;
  }
  return NULL;
}

/* One step with the lists. True if none is left. */
static bool visit_blocks(Memory *m, bool sorts) {
  MemoryTrim *t = m->trim;
  for (int i = 0; i < BLOCKS; i++) {
    char *block = pop(sorts ? &t->counted[t->grains] : &m->free[t->grains]);
    if (!block) {
      if (++t->grains > MEMORY_SMALL_MAX / MEMORY_GRAIN) return true;
    } else if (!sorts) {
      count_block(block, t->grains, 1);
      *(void **)(void *)block = t->counted[t->grains];
      t->counted[t->grains] = block;
    } else if (!goes(m, block, t->grains)) {
      memory_put(m, block, t->grains);
    }
  }
  return false;
}

/* --- pages --- */

/* How many bytes of a page can be in blocks. */
static size_t room_of(unsigned page) {
  if (page == 0) return PAGE_BYTES - sizeof(MemoryChunk);
  return page < CHUNK_PAGES - 1 ? PAGE_BYTES : PAGE_BYTES - (CHUNK_BYTES - CHUNK_USED);
}

/* The pages of a chunk that can be returned, and have not been. The first one, with the counts, is
   kept as long as any is, and so is the last one of a single chunk, which belongs to malloc, too.
 */
static uint16_t free_pages(const MemoryChunk *chunk, bool huge) {
  unsigned pages = 0;
  for (unsigned page = 0; page < CHUNK_PAGES; page++)
    if (chunk->free[page] == room_of(page)) pages |= 1u << page;
  if ((pages | chunk->gone) == ALL_PAGES) return (uint16_t)pages;
  return (uint16_t)(pages & ~(huge ? 1u : 1u | 1u << (CHUNK_PAGES - 1)));
}

static bool has_blocks(const MemoryArea *area, unsigned i) { return !(area->empty & 1u << i); }

static void mark(const MemoryArea *area) {
  int n = __builtin_popcount(area->empty) * CHUNK_PAGES;
  for (unsigned i = 0; i < memory_area_chunks(area); i++) {
    MemoryChunk *chunk = memory_area_chunk(area, i);
    if (!has_blocks(area, i)) continue;
    chunk->going = free_pages(chunk, area->huge);
    n += __builtin_popcount((unsigned)chunk->going | chunk->gone);
  }
  if (!area->huge || n >= SPLIT_FROM) return;
  for (unsigned i = 0; i < CHUNKS; i++)
    if (has_blocks(area, i)) memory_area_chunk(area, i)->going = 0;
}

/* The pages of an area that are to be returned now. */
static unsigned pages_to_return(Memory *m, MemoryArea *area, unsigned i) {
  if (!has_blocks(area, i)) return area->huge ? ALL_PAGES : 0;
  MemoryChunk *chunk = memory_area_chunk(area, i);
  unsigned going = chunk->going;
  memset(chunk->free, 0, sizeof chunk->free);
  chunk->gone = (uint16_t)(chunk->gone | going);
  chunk->going = 0;
  if (chunk->gone == ALL_PAGES) {
    area->empty |= 1u << i;
    return area->huge ? ALL_PAGES : 0;
  }
  if (chunk->gone) {
    chunk->next = m->partly_gone;
    m->partly_gone = chunk;
  }
  return going;
}

/* Returns what is free in an area. A huge page is present as a whole, however little of it is used,
   and would be again without the first advice. */
static void return_pages(Memory *m, MemoryArea *area) {
  bool is_split = !area->huge;
  for (unsigned i = 0; i < memory_area_chunks(area); i++) {
    unsigned pages = pages_to_return(m, area, i);
    if (pages && !is_split) madvise(area->start, HUGE_PAGE, MADV_NOHUGEPAGE);
    if (pages) is_split = true;
    while (pages) {
      unsigned first = (unsigned)__builtin_ctz(pages);
      unsigned n = (unsigned)__builtin_ctz(~(pages >> first));
      madvise(area->start + i * CHUNK_BYTES + first * PAGE_BYTES, n * PAGE_BYTES, MADV_DONTNEED);
      pages &= pages + (1u << first);
    }
  }
}

static void free_area(Memory *m, MemoryArea **link) {
  MemoryArea *area = *link;
  *link = area->next;
  m->bytes -= CHUNK_BYTES;
  free(area->start);
  free(area);
}

/* One step with the areas. True if none is left. */
static bool visit_areas(Memory *m, bool returns) {
  MemoryTrim *t = m->trim;
  for (int i = 0; i < AREAS; i++) {
    MemoryArea *area = *t->link;
    if (!area) return true;
    if (!returns)
      mark(area);
    else
      return_pages(m, area);
    if (returns && area->empty && !area->huge)
      free_area(m, t->link);
    else
      t->link = &area->next;
  }
  return false;
}

static bool visit(Memory *m) {
  switch (m->trim->stage) {
  case STAGE_COUNT:
    return visit_blocks(m, false);
  case STAGE_MARK:
    return visit_areas(m, false);
  case STAGE_SORT:
    return visit_blocks(m, true);
  case STAGE_RETURN:
    return visit_areas(m, true);
  }
  return true;
}

bool memory_trim(Memory *m) {
  if (!m->trim) {
    huge_block_trim(&m->huge);
    m->trim = calloc(1, sizeof *m->trim);
    if (!m->trim) return true;
  }
  if (!visit(m)) return false;
  MemoryTrim *t = m->trim;
  if (t->stage == STAGE_RETURN) {
    free(t);
    m->trim = NULL;
    return true;
  }
  t->stage++;
  t->grains = 0;
  t->link = &m->areas;
  /* A chunk that is marked as empty stays empty; the list is made anew at the end. */
  m->partly_gone = NULL;
  return false;
}

#else

bool memory_trim(Memory *memory) {
  (void)memory;
  return true;
}

#endif
