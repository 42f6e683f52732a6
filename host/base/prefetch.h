/* Prefetching memory that is needed soon. With many connections, what belongs to the next one has
   left the cache since it was last used, and the processor would wait for it. */
#ifndef ML_PREFETCH_H
#define ML_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

enum { PREFETCH_LINE = 64 };

/* Prefetches `bytes` from `start` on; any address is allowed, even NULL. */
static inline void prefetch(const void *start, size_t bytes) {
  uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PREFETCH_LINE - 1);
  for (uintptr_t at = first; at < (uintptr_t)start + bytes; at += PREFETCH_LINE)
    __builtin_prefetch((const void *)at, 1);
}

#endif
