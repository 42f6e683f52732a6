/* The pool of records of tasks and of the Lua threads that run them.

   Memory of a burst is given back when it is over: by and by the pool lets threads go; when no more
   of them are too many, the collector has its cycles while the loop is idle, and what is empty then
   goes back to the system. */
#ifndef ML_TASK_POOL_H
#define ML_TASK_POOL_H

#include "task.h"

/* How many threads are kept in any case, about 1 kB each. */
#define TASK_POOL_MIN 64

/* Makes a thread for a record. Raises a memory error in L. */
Task *task_pool_make(lua_State *L, Runtime *rt);

/* Lets a thread go, which no task uses. */
void task_pool_release(Task *t);

/* May one more thread be kept? That is one more than tasks were alive: the end of a task may start
   the next before its own thread is free. */
static inline bool task_pool_has_room(const Runtime *rt) {
  size_t most = rt->pool.peak_live > TASK_POOL_MIN ? rt->pool.peak_live : TASK_POOL_MIN;
  return rt->pool.free_count + rt->live <= most;
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

/* Takes the record of a task that is over; the stack of its thread is empty. */
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

/* Makes sure that the next task_pool_take raises nothing: for callers outside of a protected call.
   False: no memory. */
bool task_pool_reserve(Runtime *rt);

/* There are more live tasks than before. */
static inline void task_pool_note_peak(Runtime *rt) {
  TaskPool *pool = &rt->pool;
  pool->peak_now = rt->live;
  if (pool->peak_now > pool->peak_live) pool->peak_live = pool->peak_now;
}

/* Once a second: the pool forgets half of how many tasks there were at once, unless there have been
   as many since. The threads of a burst serve the next one, and are not looked at by the collector
   for ever. */
void task_pool_trim(Runtime *rt);

/* While no task is ready and rt->pool.cycles is not 0: a step on the way to giving memory back. */
void task_pool_collect(Runtime *rt);

/* Frees the records when the runtime closes. */
void task_pool_close(Runtime *rt);

#endif
