/* ml.semaphore and ml.lock. First come first served: a permit that is released while someone waits
   belongs to the first in line from that moment. */
#include "modules.h"
#include "task.h"

#include <lauxlib.h>

#define SEMAPHORE "moonloop.semaphore"
#define LOCK "moonloop.lock"
#define HOLD "moonloop.hold"

/* A lock is a semaphore of one permit that knows who has it. */
typedef struct Semaphore {
  Waiters line;
  lua_Integer permits, max;
  bool is_lock;
  uint64_t holder; /* of a lock: the id of the task that has it, or 0 */
} Semaphore;

static Semaphore *check(lua_State *L, int index) {
  Semaphore *s = luaL_testudata(L, index, SEMAPHORE);
  return s ? s : luaL_checkudata(L, index, LOCK);
}

/* A permit is free: the first in line gets it. */
static void give(Semaphore *s) {
  Task *next = waiters_wake_first(&s->line);
  s->holder = next ? next->id : 0;
  if (!next) s->permits++;
}

static void acquire_cancel(Task *t, void *op) {
  waiters_leave(&((Semaphore *)op)->line, &t->waiter);
}

/* Cancelled after it was given the permit: the permit goes to the next. */
static bool acquire_revoke(Task *t, void *op) {
  (void)t;
  give(op);
  return true;
}

static int acquire_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType semaphore_wait = {.name = "a semaphore",
                                        .cancel = acquire_cancel,
                                        .finish = acquire_finish,
                                        .revoke = acquire_revoke};
static const WaitType lock_wait = {
    .name = "a lock", .cancel = acquire_cancel, .finish = acquire_finish, .revoke = acquire_revoke};

static bool try_take(Semaphore *s, Task *t) {
  if (s->permits == 0) return false;
  s->permits--;
  s->holder = t ? t->id : 0;
  return true;
}

static int acquire(lua_State *L, Semaphore *s, const WaitType *type, const char *function) {
  Task *current = task_current(L);
  if (s->is_lock && s->holder && current && s->holder == current->id)
    return luaL_error(L, "%s: this task has the lock already", function);
  if (try_take(s, current)) return type->finish(L, current, s);
  Task *t = ml_wait_enter(L, function);
  waiters_join(&s->line, &t->waiter);
  return ml_wait_suspend(L, t, type, s);
}

/* acquire(): waits for a permit */
static int semaphore_acquire(lua_State *L) {
  Semaphore *s = check(L, 1);
  return acquire(L, s, s->is_lock ? &lock_wait : &semaphore_wait,
                 s->is_lock ? "lock:acquire" : "semaphore:acquire");
}

/* try_acquire() -> boolean: a permit if one is free now */
static int semaphore_try_acquire(lua_State *L) {
  Semaphore *s = check(L, 1);
  lua_pushboolean(L, try_take(s, task_current(L)));
  return 1;
}

/* release(): gives a permit back. An error above the maximum; a lock is released by who has it. */
static int semaphore_release(lua_State *L) {
  Semaphore *s = check(L, 1);
  Task *t = task_current(L);
  if (s->permits == s->max)
    return s->is_lock ? luaL_error(L, "lock:release: nobody has the lock")
                      : luaL_error(L, "semaphore:release: more releases than its maximum of %I",
                                   (LUAI_UACINT)s->max);
  if (s->is_lock && t && s->holder != t->id)
    return luaL_error(L, "lock:release: task %d has the lock, not this one", (int)s->holder);
  give(s);
  return 0;
}

/* --- hold --- */

typedef struct Hold {
  Semaphore *of;   /* the user value keeps it; NULL when it has been given back */
  uint64_t holder; /* of a lock: as it was when this was given */
} Hold;

/* Gives the permit back, once. An error where release() has done so before. */
static int hold_close(lua_State *L) {
  Hold *hold = luaL_checkudata(L, 1, HOLD);
  Semaphore *s = hold->of;
  hold->of = NULL;
  if (!s) return 0;
  if (s->permits == s->max || (s->is_lock && s->holder != hold->holder))
    return luaL_error(L, "%s:hold: its permit has been released before, by release()",
                      s->is_lock ? "lock" : "semaphore");
  give(s);
  return 0;
}

/* Runs with the semaphore at index 1 and its Hold, made before the wait, at index 2. */
static int hold_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Semaphore *s = op;
  *(Hold *)lua_touserdata(L, 2) = (Hold){.of = s, .holder = s->holder};
  lua_settop(L, 2);
  return 1;
}

static const WaitType hold_wait = {
    .name = "a permit", .cancel = acquire_cancel, .finish = hold_finish, .revoke = acquire_revoke};

/* hold() -> a value for `local _ <close> = sem:hold()`: a permit that is given back when the block
   is left, however that happens */
static int semaphore_hold(lua_State *L) {
  Semaphore *s = check(L, 1);
  lua_settop(L, 1);
  Hold *hold = lua_newuserdatauv(L, sizeof *hold, 1);
  hold->of = NULL;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  if (luaL_newmetatable(L, HOLD)) {
    lua_pushcfunction(L, hold_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, 2);
  return acquire(L, s, &hold_wait, s->is_lock ? "lock:hold" : "semaphore:hold");
}

static int new_semaphore(lua_State *L, lua_Integer initial, lua_Integer max, bool is_lock) {
  static const luaL_Reg methods[] = {{"acquire", semaphore_acquire},
                                     {"try_acquire", semaphore_try_acquire},
                                     {"release", semaphore_release},
                                     {"hold", semaphore_hold},
                                     {NULL, NULL}};
  Semaphore *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (Semaphore){.permits = initial, .max = max, .is_lock = is_lock};
  waiters_init(&s->line);
  modules_set_class(L, is_lock ? LOCK : SEMAPHORE, methods, NULL, NULL);
  return 1;
}

/* semaphore(initial [, max = initial]) -> semaphore of `initial` free permits */
int semaphore_new(lua_State *L) {
  lua_Integer initial = luaL_checkinteger(L, 1), max = luaL_optinteger(L, 2, initial);
  luaL_argcheck(L, initial >= 0, 1, "the number of permits cannot be negative");
  luaL_argcheck(L, max >= initial && max >= 1, 2,
                "the maximum is at least 1 and the initial number");
  return new_semaphore(L, initial, max, false);
}

/* lock() -> a lock that nobody has */
int lock_new(lua_State *L) { return new_semaphore(L, 1, 1, true); }
