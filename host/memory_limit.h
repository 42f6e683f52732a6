/* A hard limit on the memory of a Lua state: an allocator that refuses what would exceed it. Lua
   then collects garbage and asks once more; if too little came free, it raises its memory error.

   The limit holds while Lua code runs. What the host does between two tasks (keeping an outcome,
   waking who waits) has to succeed, and is counted only. */
#ifndef ML_MEMORY_LIMIT_H
#define ML_MEMORY_LIMIT_H

#include "runtime.h"

typedef struct MemoryLimit {
  Runtime *rt;
  size_t max, used; /* bytes */
  bool enforced;    /* also now, where no task runs */
  bool refused;     /* the last request: a collection follows */
  bool exhausted;   /* a collection did not help: code has met a memory error */
  bool has_refused; /* at any time */
} MemoryLimit;

/* Limits the state of `rt` to `max` bytes from now on. The caller owns `limit`, which outlives the
   state. */
void memory_limit_set(MemoryLimit *limit, Runtime *rt, size_t max);

#endif
