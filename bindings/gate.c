/* A gate holds tasks back until it is opened, once: what a second `require` of a module waits at.
 */
#include "modules.h"
#include "task.h"

#include <lauxlib.h>

#define GATE "moonloop.gate"

typedef struct GateWait {
  struct GateWait *next, **link;
  Waker waker;
} GateWait;

typedef struct Gate {
  GateWait *waits;
  bool is_open;
} Gate;

static void leave(GateWait *wait) {
  *wait->link = wait->next;
  if (wait->next) wait->next->link = wait->link;
}

static void gate_cancel(Task *t, void *op) {
  (void)t;
  leave(op);
}

static int gate_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

static const WaitType gate_wait_type = {
    .name = "a module that another task loads", .cancel = gate_cancel, .finish = gate_finish};

/* gate:wait(): until it is open */
static int gate_wait(lua_State *L) {
  Gate *gate = luaL_checkudata(L, 1, GATE);
  if (gate->is_open) return 0;
  Task *t = ml_wait_enter(L, "require");
  GateWait *wait = lua_newuserdatauv(L, sizeof *wait, 0); /* kept by this stack */
  *wait = (GateWait){.next = gate->waits, .link = &gate->waits, .waker = ml_wait_waker(t)};
  if (wait->next) wait->next->link = &wait->next;
  gate->waits = wait;
  return ml_wait_suspend(L, t, &gate_wait_type, wait);
}

/* gate:open(): lets all pass, now and later */
static int gate_open(lua_State *L) {
  Gate *gate = luaL_checkudata(L, 1, GATE);
  gate->is_open = true;
  while (gate->waits) {
    GateWait *wait = gate->waits;
    leave(wait);
    ml_wait_wake(wait->waker);
  }
  return 0;
}

int gate_new(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", gate_wait}, {"open", gate_open}, {NULL, NULL}};
  Gate *gate = lua_newuserdatauv(L, sizeof *gate, 0);
  *gate = (Gate){0};
  if (luaL_newmetatable(L, GATE)) {
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  return 1;
}
