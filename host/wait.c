/* Waiting: the way of every suspension, from ml_wait_enter to the wake. */
#include "states.h"
#include "task.h"

static inline Task *enter(lua_State *L, const char *function) {
  Runtime *rt = runtime_of(L);
  Task *t = rt->current;
  if (!t || L != rt->running || rt->barrier || !lua_isyieldable(L))
    states_raise_cannot_wait(L, function);
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

int wait_raise_cancel(lua_State *L, Task *t) {
  CancelCause *cause = scope_pending(t);
  cause_push_error(L, cause ? cause : t->left_cause);
  return lua_error(L);
}

void ml_wait_check_cancel(lua_State *L) {
  Task *t = runtime_of(L)->current;
  if (t && t->cancel_pending) wait_raise_cancel(L, t);
}

static int wait_over(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  Task *t = runtime_of(L)->current;
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
  t->rt->suspending = true;
  return lua_yieldk(L, 0, 0, wait_over);
}

Waker(ml_wait_waker)(Task *t) { return (Waker){t, t->generation}; } /* for who has no task.h */

bool ml_wait_wake(Waker waker) {
  Task *t = waker.task;
  if (!t || t->generation != waker.generation) return false;
  Runtime *rt = t->rt;
  t->generation++;
  /* Who awaited a task goes on in the pass in which it ended. Each task ends once and new ones
     start on the next pass, so this cannot keep the loop from its events. */
  task_make_ready(rt->ending && rt->batch.tail ? &rt->batch : &rt->ready, t);
  return true;
}
