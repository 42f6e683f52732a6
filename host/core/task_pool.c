#include "core/task_pool.h"

#include "core/states.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Records are allocated in slabs that stay valid as long as the runtime, since a late Waker may
   look at a record's generation. Slabs are aligned to their size, so a record's slab can be
   computed. */
#define SLAB_BYTES ((size_t)256 * 1024)
#define SLAB_USED (SLAB_BYTES - 64) /* malloc's words lie between two slabs */
#define SLAB_TASKS ((SLAB_USED - sizeof(TaskSlab)) / sizeof(Task))
#define SMALL_PAGE ((size_t)4096)

typedef struct TaskSlab {
  struct TaskSlab *next;
  unsigned used; /* records in use so far */
  unsigned free; /* while slabs are checked: records without a thread */
  Task tasks[];
} TaskSlab;

static TaskSlab *slab_of(Task *t) { return (TaskSlab *)((uintptr_t)t & ~(SLAB_BYTES - 1)); }

/* --- records --- */

/* Moves a slab with room to the front. */
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
  t->generation = pool->first_generation + 1; /* never 0, which marks an empty slab */
  pool->free_records = t;
}

/* Returns the memory of a slab without threads, except its first page. Its records read as
   zeros. */
static void empty_slab(TaskSlab *slab) {
  memset(slab->tasks, 0, slab->used * sizeof(Task)); /* the last page also belongs to malloc */
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
static int l_add_to_pool(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Task *t = task_pool_take(L, rt);
  rt->pool.free_count++;
  t->next = rt->pool.free;
  rt->pool.free = t;
  return 0;
}

bool task_pool_reserve(Runtime *rt) {
  if (rt->pool.free) return true;
  lua_pushcfunction(rt->L, l_add_to_pool);
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

bool task_pool_trim(Runtime *rt) {
  TaskPool *pool = &rt->pool;
  pool->peak_live = pool->peak_now > pool->peak_live / 2 ? pool->peak_now : pool->peak_live / 2;
  pool->peak_now = rt->tasks.live;
  /* The oldest are kept: they lie together, so they do not keep the burst's memory in use. */
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
  return pool->peak_live > TASK_POOL_MIN && pool->peak_live > pool->peak_now;
}

void task_pool_give_back(Runtime *rt) {
  rt->pool.released = 0;
  empty_slabs(&rt->pool);
}

/* --- walking --- */

/* Records that far ahead are prefetched. */
enum { WALK_AHEAD = 4 };

void task_pool_walk_on(const TaskPool *pool, TaskWalk *walk) {
  const TaskSlab *slab = pool->slabs;
  while (slab && slab != walk->slab) slab = slab->next;
  if (!slab) walk->slab = NULL;
}

Task *task_pool_walk_next(const TaskPool *pool, TaskWalk *walk) {
  if (!walk->is_begun) walk->slab = pool->slabs;
  walk->is_begun = true;
  for (; walk->slab; walk->slab = walk->slab->next, walk->at = 0) {
    TaskSlab *slab = walk->slab;
    while (walk->at < slab->used) {
      Task *t = &slab->tasks[walk->at++];
      __builtin_prefetch(t + WALK_AHEAD); /* at worst in the next slab, or nowhere */
      __builtin_prefetch(&(t + WALK_AHEAD)->id);
      if (t->id && t->status <= TASK_SUSPENDED) return t;
    }
  }
  return NULL;
}

void task_pool_close(Runtime *rt) {
  TaskSlab *lists[] = {rt->pool.slabs, rt->pool.empty_slabs};
  for (int i = 0; i < 2; i++)
    for (TaskSlab *slab = lists[i], *next; slab; slab = next) {
      next = slab->next;
      free(slab);
    }
}
