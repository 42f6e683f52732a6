#include "core/scope.h"

#include "core/task.h"

void scope_open(Scope *scope, Task *t) {
  *scope = (Scope){.outer = t->scope, .task = t, .opened_in_flight = t->in_flight};
  t->scope = scope;
}

/* Exposes the children that `shield` protected to cancels from outside. */
static void expose_children(Scope *shield) {
  Task *t = shield->task;
  Scope *next = shield->outer;
  while (next && !next->shield) next = next->outer;
  for (Task *child = t->children; child; child = child->sibling) {
    if (child->shelter != shield) continue;
    child->shelter = next;
    if (!next && t->cancelled) task_cancel(child, t->cancelled);
  }
}

void scope_close(Scope *scope) {
  Task *t = scope->task;
  if (!t) return;
  timer_clear(&t->rt->timers, &scope->timer);
  Scope **link = &t->scope;
  while (*link != scope) link = &(*link)->outer;
  *link = scope->outer;
  if (scope->shield) expose_children(scope);
  if (scope->cause && t->wait && t != t->rt->scheduler.current) {
    cause_drop(t->left_cause);
    t->left_cause = scope->cause;
  } else {
    cause_drop(scope->cause);
  }
  scope->cause = NULL;
  scope->task = NULL;
  t->cancel_pending = scope_pending(t) != NULL;
}

Scope *scope_shield_of(Task *t) {
  Scope *s = t->scope;
  while (s && !s->shield) s = s->outer;
  return s;
}

void scope_cancel(Scope *scope, CancelCause *cause) {
  if (scope->cause) {
    cause_drop(cause);
    return;
  }
  scope->cause = cause;
  task_interrupt(scope->task);
}

void scope_check_limits(Task *t) {
  TimerHeap *timers = &t->rt->timers;
  uint64_t now = 0;
  for (Scope *s = t->scope; s; s = s->outer) {
    Timer *timer = &s->timer;
    if (!timer->place) continue;
    if (!now) now = runtime_now(t->rt);
    if (timer_due_at(timers, timer) > now) continue;
    timer_clear(timers, timer);
    timer->fire(timer);
  }
}

CancelCause *scope_pending(Task *t) {
  CancelCause *outermost = NULL;
  for (Scope *s = t->scope; s; s = s->outer) {
    if (s->cause) outermost = s->cause;
    if (s->shield) return outermost;
  }
  return t->cancelled ? t->cancelled : outermost;
}

/* A timeout does not count as a cancel, except with `deadlines`. */
static bool is_error_of(lua_State *L, int index, const CancelCause *cause, bool deadlines) {
  return cause && (deadlines || cause->deadline < 0) && cause_is_error(L, index, cause);
}

static bool is_in_force(lua_State *L, int index, bool deadlines) {
  Task *t = task_current(L);
  if (!t || !t->cancel_pending) return false;
  index = lua_absindex(L, index);
  for (Scope *s = t->scope; s; s = s->outer) {
    if (is_error_of(L, index, s->cause, deadlines)) return true;
    if (s->shield) return false;
  }
  return is_error_of(L, index, t->cancelled, deadlines);
}

bool scope_is_own_cancel(lua_State *L, int index) { return is_in_force(L, index, false); }

bool scope_is_cut(lua_State *L, int index) { return is_in_force(L, index, true); }
