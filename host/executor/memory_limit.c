#include "executor/memory_limit.h"

/* A collection has to leave this fraction of the limit free. Otherwise a state that is nearly full
   would collect at every step, and slow to a crawl instead of failing. */
#define HEADROOM 16

static bool refuses(MemoryLimit *m, size_t growth) {
  if (!m->enforced && !m->rt->scheduler.current) return false;
  size_t max = m->refused ? m->max - m->max / HEADROOM : m->max;
  return growth > max || m->used > max - growth;
}

/* A lua_Alloc. If `block` is NULL, `old_size` is the kind of object. */
static void *alloc(void *limit, void *block, size_t old_size, size_t new_size) {
  MemoryLimit *m = limit;
  size_t had = block ? old_size : 0;
  if (new_size > had) {
    if (refuses(m, new_size - had)) {
      m->exhausted = m->exhausted || m->refused;
      m->refused = m->has_refused = true;
      return NULL;
    }
    m->refused = false;
  }
  void *moved = memory_alloc(&m->rt->memory, block, old_size, new_size);
  if (moved || new_size == 0) m->used = m->used - had + new_size;
  return moved;
}

void memory_limit_set(MemoryLimit *limit, Runtime *rt, size_t max) {
  size_t used = (size_t)lua_gc(rt->L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(rt->L, LUA_GCCOUNTB);
  *limit = (MemoryLimit){.rt = rt, .max = max, .used = used};
  lua_setallocf(rt->L, alloc, limit);
}
