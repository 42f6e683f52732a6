#include "task_pool.h"

#include "states.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Records come in slabs whose addresses stay valid as long as the runtime: a late Waker may look at
   the generation of one. They are aligned to their size: so a record's slab is known. */
#define SLAB_BYTES ((size_t)256 * 1024)
#define SLAB_USED (SLAB_BYTES - 64) /* malloc's words lie between two */
#define SLAB_TASKS ((SLAB_USED - sizeof(TaskSlab)) / sizeof(Task))
#define SMALL_PAGE ((size_t)4096)
#define TRIM_NS 1000000000ull
/* So many threads are worth the collector's cycles. */
#define WORTH_GIVING_BACK 1024

typedef struct TaskSlab {
  struct TaskSlab *next;
  unsigned used; /* those before are records */
  unsigned free; /* while the slabs are looked at: without a thread */
  Task tasks[];
} TaskSlab;

static TaskSlab *slab_of(Task *t) { return (TaskSlab *)((uintptr_t)t & ~(SLAB_BYTES - 1)); }

/* --- records --- */

/* Puts a slab with room at the front. */
static void add_slab(lua_State *L, TaskPool *pool) {
  TaskSlab *slab = pool->empty_slabs;
  if (slab) {
    pool->empty_slabs = slab->next;
  } else {
    void *memory = NULL;
    if (posix_memalign(&memory, SLAB_BYTES, SLAB_USED)) luaL_error(L, "not enough memory");
    slab = memory;
    slab->used = 0;
  }
  slab->next = pool->slabs;
  pool->slabs = slab;
}

/* Puts a record into free_records. */
static void add_record(lua_State *L, Runtime *rt) {
  TaskPool *pool = &rt->pool;
  if (!pool->slabs || pool->slabs->used == SLAB_TASKS) add_slab(L, pool);
  Task *t = &pool->slabs->tasks[pool->slabs->used++];
  *t = (Task){.rt = rt, .slot = LUA_NOREF, .next = pool->free_records};
  t->generation = pool->first_generation + 1; /* never 0: that is what an empty slab shows */
  pool->free_records = t;
}

/* Gives the memory of a slab without a thread back, but for its first page. Its records show zeros.
 */
static void empty_slab(TaskSlab *slab) {
  memset(slab->tasks, 0, slab->used * sizeof(Task)); /* the last page is malloc's, too */
  madvise((char *)slab + SMALL_PAGE, SLAB_BYTES - 2 * SMALL_PAGE, MADV_DONTNEED);
  slab->used = 0;
}

static void empty_slabs(TaskPool *pool) {
  for (TaskSlab *slab = pool->slabs; slab; slab = slab->next) slab->free = 0;
  for (Task *t = pool->free_records; t; t = t->next) slab_of(t)->free++;
  for (Task **link = &pool->free_records, *t; (t = *link);) {
    if (slab_of(t)->free < slab_of(t)->used) {
      link = &t->next;
      continue;
    }
    if (t->generation > pool->first_generation) pool->first_generation = t->generation;
    *link = t->next;
  }
  for (TaskSlab **link = &pool->slabs, *slab; (slab = *link);) {
    if (slab->free < slab->used) {
      link = &slab->next;
      continue;
    }
    empty_slab(slab);
    *link = slab->next;
    slab->next = pool->empty_slabs;
    pool->empty_slabs = slab;
  }
}

/* --- threads --- */

Task *task_pool_make(lua_State *L, Runtime *rt) {
  TaskPool *pool = &rt->pool;
  if (!pool->free_records) add_record(L, rt);
  Task *t = pool->free_records; /* it stays there if this raises */
  lua_State *co = lua_newthread(L);
  STATE_WORD(co) = (uintptr_t)rt | STATE_OF_TASK;
  t->slot = luaL_ref(L, LUA_REGISTRYINDEX);
  t->co = co;
  t->number = pool->threads++;
  pool->free_records = t->next;
  return t;
}

/* Puts a record with a new thread into the pool. */
static int add_to_pool(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Task *t = task_pool_take(L, rt);
  rt->pool.free_count++;
  t->next = rt->pool.free;
  rt->pool.free = t;
  return 0;
}

bool task_pool_reserve(Runtime *rt) {
  if (rt->pool.free) return true;
  lua_pushcfunction(rt->L, add_to_pool);
  if (lua_pcall(rt->L, 0, 0, 0) == LUA_OK) return true;
  lua_pop(rt->L, 1);
  return false;
}

void task_pool_release(Task *t) {
  TaskPool *pool = &t->rt->pool;
  luaL_unref(t->rt->L, LUA_REGISTRYINDEX, t->slot);
  t->slot = LUA_NOREF;
  t->co = NULL;
  t->next = pool->free_records;
  pool->free_records = t;
  pool->threads--;
  pool->released++;
}

/* --- giving back --- */

void task_pool_trim(Runtime *rt) {
  TaskPool *pool = &rt->pool;
  pool->trim_at = rt->pass_at + TRIM_NS;
  pool->peak_live = pool->peak_now > pool->peak_live / 2 ? pool->peak_now : pool->peak_live / 2;
  pool->peak_now = rt->live;
  size_t released = pool->released;
  /* The oldest are kept: they lie together, and keep no memory of the burst from being empty. */
  size_t most = pool->peak_live > TASK_POOL_MIN ? pool->peak_live : TASK_POOL_MIN;
  for (Task **link = &pool->free, *t; !task_pool_has_room(rt) && (t = *link);) {
    if (t->number < most) {
      link = &t->next;
      continue;
    }
    *link = t->next;
    pool->free_count--;
    task_pool_release(t);
  }
  if (released != pool->released || released < WORTH_GIVING_BACK) return;
  pool->released = 0;
  pool->cycles = 2; /* the one that is under way may have seen the threads alive */
  /* A collector in generational mode does not say when it is through. */
  pool->steps = 64 + (unsigned)lua_gc(rt->L, LUA_GCCOUNT) / 8;
}

static int collect(lua_State *L) {
  TaskPool *pool = &runtime_of(L)->pool;
  if (!lua_gc(L, LUA_GCISRUNNING))
    pool->cycles = 0; /* the script's will */
  else if (lua_gc(L, LUA_GCSTEP, 0))
    pool->cycles--;
  return 0;
}

void task_pool_collect(Runtime *rt) {
  TaskPool *pool = &rt->pool;
  lua_pushcfunction(rt->L, collect);
  if (lua_pcall(rt->L, 0, 0, 0) != LUA_OK) {
    lua_pop(rt->L, 1);
    pool->cycles = 0;
  }
  if (pool->cycles && --pool->steps) return;
  pool->cycles = 0;
  empty_slabs(pool);
  timer_heap_shrink(&rt->timers);
  memory_trim(&rt->memory);
  malloc_trim(0);
}

void task_pool_close(Runtime *rt) {
  TaskSlab *lists[] = {rt->pool.slabs, rt->pool.empty_slabs};
  for (int i = 0; i < 2; i++)
    for (TaskSlab *slab = lists[i], *next; slab; slab = next) {
      next = slab->next;
      free(slab);
    }
}
