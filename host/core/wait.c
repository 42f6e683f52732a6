/* The course of every suspension, from ml_wait_enter to the wake. */
#include "core/wait.h"

#include "core/states.h"
#include "core/task.h"

static inline bool is_possible(lua_State *L, const Runtime *rt) {
  return rt->scheduler.current && L == rt->scheduler.running && !rt->scheduler.barrier &&
         lua_isyieldable(L);
}

bool wait_is_possible(lua_State *L) { return is_possible(L, runtime_of(L)); }

static inline Task *enter(lua_State *L, const char *function) {
  Runtime *rt = runtime_of(L);
  if (!is_possible(L, rt)) states_raise_cannot_wait(L, function);
  Task *t = rt->scheduler.current;
  if (t->scope) scope_check_limits(t);
  return t;
}

Task *ml_wait_enter_cleanup(lua_State *L, const char *function) { return enter(L, function); }

Task *ml_wait_enter(lua_State *L, const char *function) {
  Task *t = enter(L, function);
  if (t->cancel_pending) {
    cause_push_error(L, scope_pending(t));
    lua_error(L);
  }
  return t;
}

void wait_push_cancel(lua_State *L, Task *t) {
  CancelCause *cause = scope_pending(t);
  cause_push_error(L, cause ? cause : t->left_cause);
}

int wait_raise_cancel(lua_State *L, Task *t) {
  wait_push_cancel(L, t);
  return lua_error(L);
}

void ml_wait_check_cancel(lua_State *L) {
  Task *t = runtime_of(L)->scheduler.current;
  if (t && t->cancel_pending) wait_raise_cancel(L, t);
}

static int wait_over(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  Task *t = runtime_of(L)->scheduler.current;
  const WaitType *type = t->wait;
  t->wait = NULL;
  if (t->woken_by_cancel) {
    t->woken_by_cancel = false;
    return wait_raise_cancel(L, t);
  }
  return type->finish(L, t, t->op);
}

int ml_wait_suspend(lua_State *L, Task *t, const WaitType *type, void *op) {
  t->wait = type;
  t->op = op;
  t->status = TASK_SUSPENDED;
  t->rt->scheduler.suspending = true;
  return lua_yieldk(L, 0, 0, wait_over);
}

Waker(ml_wait_waker)(Task *t) { return (Waker){t, t->generation}; } /* for callers without task.h */

bool ml_wait_wake(Waker waker) {
  Task *t = waker.task;
  if (!t || t->generation != waker.generation) return false;
  Runtime *rt = t->rt;
  t->generation++;
  /* A task that awaited another one continues in the pass in which that ended. Each task ends once
     and new ones start on the next pass, so this cannot keep the loop from its events. */
  task_make_ready(rt->scheduler.ending && rt->scheduler.batch.tail ? &rt->scheduler.batch
                                                                   : &rt->scheduler.ready,
                  t);
  return true;
}

void wait_cancel_nothing(Task *t, void *op) {
  (void)t;
  (void)op;
}

/* --- giving way --- */

bool wait_may_give_way(lua_State *L) {
  Runtime *rt = runtime_of(L);
  return is_possible(L, rt) && !rt->scheduler.current->cancel_pending;
}

int wait_give_way(lua_State *L, const WaitType *type, void *op) {
  Task *t = runtime_of(L)->scheduler.current;
  ml_wait_wake(ml_wait_waker(t));
  return ml_wait_suspend(L, t, type, op);
}

static int turn_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  return (int)(intptr_t)op;
}

/* It is woken at once, so a cancel comes after the results: it is never interrupted. */
static const WaitType turn_wait = {
    .name = "its turn", .cancel = wait_cancel_nothing, .finish = turn_finish};

int wait_for_turn(lua_State *L, int n) {
  runtime_of(L)->scheduler.spent = 0;
  /* A call that needs no wait works even in clean-up while a cancel is pending. */
  return wait_may_give_way(L) ? wait_give_way(L, &turn_wait, (void *)(intptr_t)n) : n;
}
