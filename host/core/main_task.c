#include "core/main_task.h"

#include "core/remote.h"
#include "core/report.h"
#include "core/script_place.h"

#include <lauxlib.h>
#include <stdio.h>

/* Moves error and traceback to the main state, where they are printed after this pass. If the
   program is already ending, nobody would print them there, so an error of clean-up is printed
   now. */
static void on_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  MainTask *m = container_of(owner, MainTask, owner);
  m->task = NULL;
  m->status = t->status;
  if (t->status == TASK_DONE) {
    if (m->gives_status) m->result = (int)lua_tointeger(L, -1);
    if (m->returned) m->returned(m, L);
    return;
  }
  if (t->status == TASK_FAILED && (m->stopped || m->rt->exit.under_way))
    report_error(L, NULL, -1, traceback, NULL);
  lua_pushstring(L, traceback);
  lua_xmove(L, m->rt->L, 2);
}

static bool is_done(void *data) {
  MainTask *m = data;
  if (m->rt->exit.under_way) return true;
  if (m->task) return false;
  return m->rt->tasks.live == m->rt->tasks.background || (m->status != TASK_DONE && !m->stopped);
}

/* The exit status of the main task, after its error has been printed. */
static int exit_status(MainTask *m) {
  if (m->stopped) return m->stopped;
  switch (m->status) {
  case TASK_DONE:
    return m->result;
  case TASK_CANCELLED:
    report_say(m->rt, LOG_ERROR, "the main task was cancelled");
    return 1;
  default:
    report_error(m->rt->L, NULL, -2, lua_tostring(m->rt->L, -1), NULL);
    return 1;
  }
}

static void report_stuck(Task *t) {
  char what[200] = "", text[400];
  lua_Debug ar;
  if (t->wait && t->wait->describe)
    t->wait->describe(t, t->op, what, sizeof what);
  else if (t->wait)
    snprintf(what, sizeof what, "%s", t->wait->name);
  bool has_place = script_place_find(t->co, 0, &ar) && ar.currentline > 0;
  int n = snprintf(text, sizeof text, "the main task waits for what can never happen%s%s",
                   *what ? ": " : "", what);
  if (has_place)
    snprintf(text + n, sizeof text - (size_t)n, ", at %s:%d", ar.short_src, ar.currentline);
  report_say(t->rt, LOG_ERROR, text);
}

int main_task_run(MainTask *m, Runtime *rt, lua_CFunction load, void *data) {
  lua_State *L = rt->L;
  int base = lua_gettop(L);
  m->rt = rt;
  m->owner.ended = on_ended;
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, data);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    report_error(L, NULL, -1, NULL, NULL);
    lua_settop(L, base);
    return 1;
  }
  m->task = task_start(L, rt, NULL, lua_gettop(L) - base - 1, &m->owner);
  m->task->name = "main";
  m->task->is_host = m->is_host;
  m->task->is_main = true;
  if (rt->remote) remote_check_stop(rt->remote);
  while (!runtime_run(rt, is_done, m) && m->task && rt->stuck_hook &&
         rt->stuck_hook->stuck(rt->stuck_hook, rt)) {
  }
  int status = 1;
  if (rt->exit.under_way)
    status = rt->exit.code;
  else if (m->task)
    report_stuck(m->task);
  else
    status = exit_status(m);
  lua_settop(L, base);
  return status;
}

void main_task_stop(MainTask *m, const char *reason, int status) {
  CancelCause *cause = cause_new(m->rt, reason);
  if (!cause) return;
  m->stopped = status;
  for (Task *t = m->rt->tasks.roots; t; t = t->sibling)
    if (!t->is_background) task_cancel(t, cause);
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
