/* A gate holds tasks back until it is opened, which happens once. A second `require` of a module
   waits at a gate. */
#include "bindings/core/gate.h"

#include "bindings/class.h"
#include "core/task.h"

#include <lauxlib.h>

#define GATE "moonloop.gate"

typedef struct Gate {
  Waiters line;
  bool is_open;
} Gate;

static void gate_cancel(Task *t, void *op) { waiters_leave(&((Gate *)op)->line, &t->waiter); }

static int gate_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType gate_wait_type = {
    .name = "a module that another task loads", .cancel = gate_cancel, .finish = gate_finish};

/* gate:wait(): waits until it is open */
static int l_gate_wait(lua_State *L) {
  Gate *gate = luaL_checkudata(L, 1, GATE);
  if (gate->is_open) return 0;
  Task *t = ml_wait_enter(L, "require");
  waiters_join(&gate->line, &t->waiter);
  return ml_wait_suspend(L, t, &gate_wait_type, gate);
}

/* gate:open(): lets all pass, now and later */
static int l_gate_open(lua_State *L) {
  Gate *gate = luaL_checkudata(L, 1, GATE);
  gate->is_open = true;
  waiters_wake_all(&gate->line);
  return 0;
}

int gate_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", l_gate_wait}, {"open", l_gate_open}, {NULL, NULL}};
  Gate *gate = lua_newuserdatauv(L, sizeof *gate, 0);
  *gate = (Gate){0};
  waiters_init(&gate->line);
  class_set(L, GATE, methods, NULL, NULL);
  return 1;
}
