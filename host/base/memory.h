/* The memory of a runtime's Lua state: mostly small blocks that come and go with every task and
   request. A runtime has one thread, so one free list per size, without locks or headers, is
   enough. */
#ifndef ML_MEMORY_H
#define ML_MEMORY_H

#include "base/huge_block.h"

#include <stddef.h>

#define MEMORY_GRAIN 16
#define MEMORY_LARGE ((size_t)64 << 10)
#define MEMORY_SMALL_MAX 1024 /* a thread's first stack (720 bytes) is still small */

typedef struct Memory {
  void *free[MEMORY_SMALL_MAX / MEMORY_GRAIN + 1]; /* by size in grains */
  char *next, *end;                                /* the rest of the newest chunk */
  struct MemoryArea *areas;
  struct MemoryChunk *partly_gone; /* chunks whose pages were returned in part */
  struct MemoryTrim *trim;         /* while it is under way */
  size_t bytes;                    /* in all areas */
  size_t large;                    /* bytes of all large blocks ever allocated */
  HugeBlocks huge;
} Memory;

/* A lua_Alloc whose `memory` is a Memory (all zero at first). Small blocks stay with the Memory
   until they are trimmed (memory_trim.h) or memory_close; debug builds use malloc for everything,
   so that sanitizers see each block. */
void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size);

/* Frees everything, after lua_close. */
void memory_close(Memory *memory);

#endif
