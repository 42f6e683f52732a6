/* The pool of records of tasks and of the Lua threads that run them.

   The pool gradually releases the threads of a burst to the collector; the memory of their records
   is returned to the system after its cycle (give_back.h). */
#ifndef ML_TASK_POOL_H
#define ML_TASK_POOL_H

#include "core/task.h"

/* How many threads are always kept, about 1 kB each. */
#define TASK_POOL_MIN 64

/* Makes a thread for a record. Raises a memory error in L. */
Task *task_pool_make(lua_State *L, Runtime *rt);

/* Releases an unused thread. */
void task_pool_release(Task *t);

/* May one more thread be kept? One more than tasks were alive is allowed, since the end of a task
   may start the next one before its own thread is free. */
static inline bool task_pool_has_room(const Runtime *rt) {
  size_t most = rt->pool.peak_live > TASK_POOL_MIN ? rt->pool.peak_live : TASK_POOL_MIN;
  return rt->pool.free_count + rt->tasks.live <= most;
}

/* A record with a thread, whose stack is empty. May raise a memory error in L. */
static inline Task *task_pool_take(lua_State *L, Runtime *rt) {
  Task *t = rt->pool.free;
  if (!t) return task_pool_make(L, rt);
  if (t->next) task_prefetch_thread(t->next);
  rt->pool.free = t->next;
  rt->pool.free_count--;
  return t;
}

/* Takes back the record of an ended task; the stack of its thread is empty. */
static inline void task_pool_put(Task *t) {
  TaskPool *pool = &t->rt->pool;
  if (!task_pool_has_room(t->rt)) {
    task_pool_release(t);
    return;
  }
  pool->free_count++;
  t->next = pool->free;
  pool->free = t;
}

/* Makes sure that the next task_pool_take does not raise, for callers outside of a protected call.
   False if memory is out. */
bool task_pool_reserve(Runtime *rt);

/* Notes that there are more live tasks than before. */
static inline void task_pool_note_peak(Runtime *rt) {
  TaskPool *pool = &rt->pool;
  pool->peak_now = rt->tasks.live;
  if (pool->peak_now > pool->peak_live) pool->peak_live = pool->peak_now;
}

/* Once a second (give_back.h): halves the remembered peak of tasks, unless it has been reached
   again. So the threads of a burst serve the next one, but do not burden the collector for ever.
   False if it will release no more of them. */
bool task_pool_trim(Runtime *rt);

/* After a collector cycle: returns the memory of records without a thread to the system. */
void task_pool_give_back(Runtime *rt);

/* A walk through the records of the live tasks, in no order; all zero at its begin. It may be
   broken off, and gone on with in a later pass: tasks that start meanwhile may be left out. */
typedef struct TaskWalk {
  struct TaskSlab *slab;
  unsigned at;
  bool is_begun;
} TaskWalk;

/* A pass may have gone by since the last step: the walk is over if its place is no longer there. */
void task_pool_walk_on(const TaskPool *pool, TaskWalk *walk);

/* The next live task, the host's own included; NULL at the end. */
Task *task_pool_walk_next(const TaskPool *pool, TaskWalk *walk);

/* Frees the records when the runtime closes. */
void task_pool_close(Runtime *rt);

#endif
