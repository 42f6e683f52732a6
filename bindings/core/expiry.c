#include "bindings/core/expiry.h"

#include "bindings/args.h"
#include "bindings/class.h"
#include "core/script_place.h"

#define EXPIRY "moonloop.expiry"

typedef struct Expiry {
  Scope scope; /* used only for its timer; scope.task is NULL when the block has been left */
  CancelCause *cause;
} Expiry;

static void on_expiry(Timer *timer) {
  const Expiry *e = container_of(timer, Expiry, scope.timer);
  task_cancel(e->scope.task, e->cause);
}

static int l_expiry_close(lua_State *L) {
  Expiry *e = luaL_checkudata(L, 1, EXPIRY);
  scope_close(&e->scope);
  cause_drop(e->cause);
  e->cause = NULL;
  return 0;
}

int expiry_new(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  double seconds = luaL_checknumber(L, 1);
  lua_settop(L, 2);
  Task *t = args_require_task(L, "expire");
  Expiry *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (Expiry){0};
  class_set(L, EXPIRY, methods, l_expiry_close, l_expiry_close);
  lua_pushvalue(L, 2);
  e->cause = cause_new_from(L);
  if (!e->cause) return script_place_error(L, "not enough memory");
  scope_open(&e->scope, t);
  uint64_t due = timer_due(runtime_now(t->rt), seconds > 0 ? seconds : 0);
  if (due != TIMER_NEVER && timer_set(&t->rt->timers, &e->scope.timer, due, on_expiry) != 0)
    return script_place_error(L, "not enough memory");
  return 1;
}
