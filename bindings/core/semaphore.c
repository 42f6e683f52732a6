/* ml.semaphore and ml.lock. First come first served: a permit that is released while tasks wait
   belongs to the first in line from that moment. */
#include "bindings/core/semaphore.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"

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
  return s ? s : check_self(L, LOCK);
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
    return script_place_error(L, "%s: this task has the lock already", function);
  if (try_take(s, current)) return wait_spared(L, type->finish(L, current, s), 1);
  Task *t = ml_wait_enter(L, function);
  waiters_join(&s->line, &t->waiter);
  return ml_wait_suspend(L, t, type, s);
}

/* acquire(): waits for a permit */
static int l_semaphore_acquire(lua_State *L) {
  Semaphore *s = check(L, 1);
  return acquire(L, s, s->is_lock ? &lock_wait : &semaphore_wait,
                 s->is_lock ? "lock:acquire" : "semaphore:acquire");
}

/* try_acquire() -> boolean: a permit if one is free now */
static int l_semaphore_try_acquire(lua_State *L) {
  Semaphore *s = check(L, 1);
  lua_pushboolean(L, try_take(s, task_current(L)));
  return 1;
}

/* release(): gives a permit back. Going above the maximum is an error; only its holder can release
   a lock. */
static int l_semaphore_release(lua_State *L) {
  Semaphore *s = check(L, 1);
  Task *t = task_current(L);
  if (s->permits == s->max)
    return s->is_lock
               ? script_place_error(L, "lock:release: nobody has the lock")
               : script_place_error(L, "semaphore:release: more releases than its maximum of %I",
                                    (LUAI_UACINT)s->max);
  if (s->is_lock && t && s->holder != t->id)
    return script_place_error(L, "lock:release: task %d has the lock, not this one",
                              (int)s->holder);
  give(s);
  return 0;
}

/* --- hold --- */

typedef struct Hold {
  Semaphore *of;   /* the user value keeps it; NULL when it has been given back */
  uint64_t holder; /* for a lock: its value when this permit was given */
} Hold;

/* Gives the permit back, once. Raises if release() has already done so, unless an error has left
   the block, which must not be replaced. */
static int l_hold_close(lua_State *L) {
  Hold *hold = check_self(L, HOLD);
  Semaphore *s = hold->of;
  hold->of = NULL;
  if (!s) return 0;
  bool released = s->permits == s->max || (s->is_lock && s->holder != hold->holder);
  if (released && lua_isnoneornil(L, 2))
    return script_place_error(L, "%s:hold: its permit has been released before, by release()",
                              s->is_lock ? "lock" : "semaphore");
  if (!released) give(s);
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
static int l_semaphore_hold(lua_State *L) {
  Semaphore *s = check(L, 1);
  lua_settop(L, 1);
  Hold *hold = lua_newuserdatauv(L, sizeof *hold, 1);
  hold->of = NULL;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  if (luaL_newmetatable(L, HOLD)) {
    lua_pushcfunction(L, l_hold_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, 2);
  return acquire(L, s, &hold_wait, s->is_lock ? "lock:hold" : "semaphore:hold");
}

static int new_semaphore(lua_State *L, lua_Integer initial, lua_Integer max, bool is_lock) {
  static const luaL_Reg methods[] = {{"acquire", l_semaphore_acquire},
                                     {"try_acquire", l_semaphore_try_acquire},
                                     {"release", l_semaphore_release},
                                     {"hold", l_semaphore_hold},
                                     {NULL, NULL}};
  Semaphore *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (Semaphore){.permits = initial, .max = max, .is_lock = is_lock};
  waiters_init(&s->line);
  class_set(L, is_lock ? LOCK : SEMAPHORE, methods, NULL, NULL);
  return 1;
}

/* semaphore(initial [, max = initial]) -> semaphore with `initial` free permits. With 0 and no
   `max`, it is a counter without a maximum. */
int semaphore_new(lua_State *L) {
  lua_Integer initial = check_integer(L, 1);
  lua_Integer max = check_opt_integer(L, 2, initial == 0 ? LUA_MAXINTEGER : initial);
  check_true(L, initial >= 0, 1, "the number of permits cannot be negative");
  check_true(L, max >= initial && max >= 1, 2,
             "the maximum must be at least 1 and at least the initial number");
  return new_semaphore(L, initial, max, false);
}

/* lock() -> a lock that nobody has */
int semaphore_new_lock(lua_State *L) { return new_semaphore(L, 1, 1, true); }
