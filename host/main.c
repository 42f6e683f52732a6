#include "report.h"
#include "runtime.h"
#include "task.h"

#include <stdio.h>

typedef struct Main {
  TaskOwner owner;
  Runtime *rt;
  bool ended;
  int exit_code;
} Main;

static void main_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  Main *m = (Main *)owner;
  m->ended = true;
  if (t->status == TASK_FAILED) {
    m->exit_code = 1;
    report_error(L, "moonloop", -1, traceback, NULL);
  }
}

static bool main_done(void *data) {
  Main *m = data;
  return m->rt->stopping || (m->ended && (m->exit_code || m->rt->live == 0));
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  Runtime *rt = runtime_new();
  if (!rt) return 1;
  Main m = {{main_ended}, rt, false, 0};
  if (luaL_loadfile(rt->L, argv[1]) != LUA_OK) {
    fprintf(stderr, "moonloop: %s\n", lua_tostring(rt->L, -1));
    runtime_close(rt);
    return 1;
  }
  task_start(rt->L, rt, NULL, 0, &m.owner)->name = "main";
  if (!runtime_run(rt, main_done, &m) && !rt->stopping) {
    fprintf(stderr, "moonloop: every task waits for something that can no longer happen\n");
    m.exit_code = 1;
  }
  int code = rt->stopping ? rt->exit_code : m.exit_code;
  return runtime_close(rt) == 0 ? code : 70;
}
