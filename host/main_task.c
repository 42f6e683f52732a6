#include "main_task.h"

#include "error_text.h"
#include "remote.h"
#include "report.h"

#include <lauxlib.h>

/* Moves error and traceback to the main state, where they are printed after this pass. */
static void on_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  MainTask *m = container_of(owner, MainTask, owner);
  m->task = NULL;
  m->status = t->status;
  if (t->status == TASK_DONE) {
    if (m->gives_status) m->result = (int)lua_tointeger(L, -1);
    return;
  }
  lua_pushstring(L, traceback);
  lua_xmove(L, m->rt->L, 2);
}

static bool is_done(void *data) {
  MainTask *m = data;
  if (m->rt->stopping) return true;
  if (m->task) return false;
  return m->rt->live == 0 || (m->status != TASK_DONE && !m->stopped);
}

/* The status that the main task's end gives, after its error has been printed. */
static int exit_status(MainTask *m) {
  if (m->stopped) return m->stopped;
  switch (m->status) {
  case TASK_DONE:
    return m->result;
  case TASK_CANCELLED:
    report_print(m->rt, "moonloop: the main task was cancelled\n");
    return 1;
  default:
    report_error(m->rt->L, "moonloop", -2, lua_tostring(m->rt->L, -1), NULL);
    return 1;
  }
}

int main_task_run(MainTask *m, Runtime *rt, lua_CFunction load, void *data) {
  lua_State *L = rt->L;
  int base = lua_gettop(L);
  m->rt = rt;
  m->owner.ended = on_ended;
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, data);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    report_print(rt, "moonloop: ");
    report_print(rt, error_push_text(L, -1));
    report_print(rt, "\n");
    lua_settop(L, base);
    return 1;
  }
  m->task = task_start(L, rt, NULL, lua_gettop(L) - base - 1, &m->owner);
  m->task->name = "main";
  m->task->is_host = m->is_host;
  if (rt->remote) remote_check_stop(rt->remote);
  runtime_run(rt, is_done, m);
  int status = 1;
  if (rt->stopping)
    status = rt->exit_code;
  else if (m->task)
    report_print(rt, "moonloop: the main task waits for what can never happen\n");
  else
    status = exit_status(m);
  lua_settop(L, base);
  return status;
}

void main_task_stop(MainTask *m, const char *reason, int status) {
  CancelCause *cause = cause_new(m->rt, reason);
  if (!cause) return;
  m->stopped = status;
  for (Task *t = m->rt->roots; t; t = t->sibling) task_cancel(t, cause);
  cause_drop(cause);
}

void main_task_push_arg(lua_State *L, const char *script, int n, char *const *args) {
  lua_createtable(L, n, 1);
  lua_pushstring(L, script);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, args[i]);
    lua_rawseti(L, -2, i + 1);
  }
}
