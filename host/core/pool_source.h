/* The pools of a runtime, for those who look at their figures from time to time: connections to
   databases, threads of executors. */
#ifndef ML_POOL_SOURCE_H
#define ML_POOL_SOURCE_H

#include "core/runtime.h"

typedef struct PoolFigures {
  const char *system; /* "postgresql", "sqlite", "redis"; NULL: an executor */
  const char *name;   /* for people, without a password */
  double idle, used;  /* connections; of an executor, `used` are jobs that run */
  double most;        /* connections at most; threads */
  double waiting;     /* those who wait for one; jobs in the queue */
} PoolFigures;

typedef struct PoolSource {
  struct PoolSource *next, **link;
  void (*figures)(struct PoolSource *source, PoolFigures *figures);
} PoolSource;

/* The pool is there; `source->figures` is set. */
static inline void pool_source_add(Runtime *rt, PoolSource *source) {
  source->next = rt->pool_sources;
  source->link = &rt->pool_sources;
  if (source->next) source->next->link = &source->next;
  rt->pool_sources = source;
}

/* It is closed: nobody shows its figures any more. Does nothing for one that was not added. */
static inline void pool_source_remove(PoolSource *source) {
  if (!source->link) return;
  *source->link = source->next;
  if (source->next) source->next->link = source->link;
  source->link = NULL;
}

#endif
