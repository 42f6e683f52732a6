#include "base/huge_block.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4 << 10)

static bool has_huge_pages;

/* If they are switched off, the kernel ignores the advice, and malloc, which keeps pages for the
   next block, does better. */
static void look_for_huge_pages(void) {
  char text[80] = "";
  FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (!file) return;
  has_huge_pages = fgets(text, sizeof text, file) && !strstr(text, "[never]");
  fclose(file);
}

bool huge_block_is_for(size_t size) {
  static uv_once_t once = UV_ONCE_INIT;
  if (size < HUGE_BLOCK_MIN) return false;
  uv_once(&once, look_for_huge_pages);
  return has_huge_pages;
}

static size_t round_up(size_t size, size_t page) { return (size + page - 1) & ~(page - 1); }

/* The size of a block: rounded up to whole huge pages if the last one is nearly full. */
static size_t length_of(size_t size) {
  size_t length = round_up(size, HUGE_PAGE);
  return length - size <= size / 3 ? length : round_up(size, SMALL_PAGE);
}

/* Address space that begins with a huge page, or NULL. */
static char *reserve(size_t length) {
  if (length > SIZE_MAX / 2) return NULL;
  char *all =
      mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  char *start = (char *)round_up((uintptr_t)all, HUGE_PAGE);
  size_t before = (size_t)(start - all), behind = HUGE_PAGE - before;
  if (before) munmap(all, before);
  if (behind) munmap(start + length, behind);
  return start;
}

/* Takes a kept block of this length, or returns NULL. */
static void *take_kept(HugeBlocks *all, size_t length) {
  if (!all->bytes) return NULL;
  for (int i = 0; i < HUGE_BLOCKS_KEPT; i++) {
    if (!all->kept[i].block || all->kept[i].length != length) continue;
    void *block = all->kept[i].block;
    all->kept[i].block = NULL;
    all->bytes -= length;
    return block;
  }
  return NULL;
}

void *huge_block_new(HugeBlocks *all, size_t size) {
  size_t length = length_of(size);
  void *kept = take_kept(all, length);
  if (kept) return kept;
  char *block = reserve(length);
  if (block) madvise(block, length, MADV_HUGEPAGE);
  return block;
}

void *huge_block_resize(void *block, size_t old_size, size_t new_size) {
  size_t old_length = length_of(old_size), length = length_of(new_size);
  if (length == old_length) return block;
  void *there = mremap(block, old_length, length, 0);
  if (there != MAP_FAILED) return there;
  char *place = reserve(length);
  if (!place) return NULL;
  there = mremap(block, old_length, length, MREMAP_MAYMOVE | MREMAP_FIXED, place);
  if (there != MAP_FAILED) return there;
  munmap(place, length);
  return NULL;
}

void huge_block_free(HugeBlocks *all, void *block, size_t size) {
  size_t length = length_of(size);
  if (all->bytes + length <= HUGE_BLOCK_BYTES_KEPT) {
    for (int i = 0; i < HUGE_BLOCKS_KEPT; i++) {
      if (all->kept[i].block) continue;
      all->kept[i].block = block;
      all->kept[i].length = length;
      all->bytes += length;
      return;
    }
  }
  munmap(block, length);
}

void huge_block_trim(HugeBlocks *all) {
  for (int i = 0; i < HUGE_BLOCKS_KEPT; i++)
    if (all->kept[i].block) munmap(all->kept[i].block, all->kept[i].length);
  *all = (HugeBlocks){0};
}
