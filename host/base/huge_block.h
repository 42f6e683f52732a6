/* Blocks of huge pages, for the largest objects of a Lua state: the arrays of long lists, long
   texts.

   malloc would return such a block on small pages, which the kernel maps and clears one by one on
   first use: 512 times for a list of 131,072 numbers, which takes longer than filling it. That
   repeats for each new block until the collector has freed the first, or whenever memory was
   returned to the system in between. A huge page takes one step, an eighth of the time. */
#ifndef ML_HUGE_BLOCK_H
#define ML_HUGE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* Smaller blocks do not qualify: they would take much more memory than they use. */
#define HUGE_BLOCK_MIN ((size_t)2 << 20)

/* Freed blocks for reuse: the collector frees many at once, and they are needed again one by
   one. */
#define HUGE_BLOCKS_KEPT 4
#define HUGE_BLOCK_BYTES_KEPT ((size_t)8 << 20)

typedef struct HugeBlocks {
  struct {
    void *block;
    size_t length;
  } kept[HUGE_BLOCKS_KEPT];
  size_t bytes; /* of the kept blocks */
} HugeBlocks;

/* Does the system have huge pages for blocks of this size? The answer is the same each time. */
bool huge_block_is_for(size_t size);

/* A new block; NULL when memory is out. It takes at most a third more than `size`. */
void *huge_block_new(HugeBlocks *all, size_t size);

/* Resizes a block from `old_size` to `new_size` bytes, possibly moving it, without copying; NULL,
   with the block unchanged, if memory is out. Both sizes are those of such blocks. */
void *huge_block_resize(void *block, size_t old_size, size_t new_size);

/* Keeps the block, or returns it to the system. */
void huge_block_free(HugeBlocks *all, void *block, size_t size);

/* Returns the kept blocks. */
void huge_block_trim(HugeBlocks *all);

#endif
