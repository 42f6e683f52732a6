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
  size_t bytes; /* in all areas */
  size_t large; /* bytes of all large blocks ever allocated */
  HugeBlocks huge;
} Memory;

/* A lua_Alloc whose `memory` is a Memory (all zero at first). Small blocks stay with the Memory
   until memory_trim or memory_close; debug builds use malloc for everything, so that sanitizers see
   each block. */
void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size);

/* Returns chunks without a block in use to the system. Visits every free block, so it is for when
   much has been freed. */
void memory_trim(Memory *memory);

/* Frees everything, after lua_close. */
void memory_close(Memory *memory);

#endif
