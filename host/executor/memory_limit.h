/* A hard limit on the memory of a Lua state: an allocator that refuses to exceed it. Lua then
   collects garbage and tries again; if too little was freed, it raises its memory error. The limit
   is enforced while Lua code runs. The host's own work between tasks (storing an outcome, waking
   waiters) has to succeed, and is only counted. */
#ifndef ML_MEMORY_LIMIT_H
#define ML_MEMORY_LIMIT_H

#include "core/runtime.h"

typedef struct MemoryLimit {
  Runtime *rt;
  size_t max, used; /* bytes */
  bool enforced;    /* enforced even now, while no task runs */
  bool refused;     /* the last request was refused: a collection follows */
  bool exhausted;   /* a collection did not help: code has seen a memory error */
  bool has_refused; /* at any time */
} MemoryLimit;

/* Limits the state of `rt` to `max` bytes from now on. The caller owns `limit`, which outlives the
   state. */
void memory_limit_set(MemoryLimit *limit, Runtime *rt, size_t max);

#endif
