/* The memory of a runtime's Lua state: most of it is small blocks that come and go with every task
   and request. One runtime is one thread, so a free list a size, without locks or headers, does. */
#ifndef ML_MEMORY_H
#define ML_MEMORY_H

#include <stddef.h>

#define MEMORY_GRAIN 16
#define MEMORY_SMALL_MAX 1024 /* a thread's first stack (720 bytes) is still small */

typedef struct Memory {
  void *free[MEMORY_SMALL_MAX / MEMORY_GRAIN + 1]; /* by size in grains */
  char *next, *end;                                /* what is left of the newest chunk */
  struct MemoryArea *areas;
  size_t bytes; /* in all areas */
} Memory;

/* A lua_Alloc whose `memory` is a Memory (all zero at first). Small blocks stay with the Memory
   until memory_trim or memory_close; debug builds leave all to malloc, so that sanitizers see each
   block. */
void *memory_alloc(void *memory, void *block, size_t old_size, size_t new_size);

/* Gives chunks without a block in use back to the system. Looks at every free block: for when much
   has been freed. */
void memory_trim(Memory *memory);

/* Frees everything, after lua_close. */
void memory_close(Memory *memory);

#endif
