#include "script.h"

#include "cpu_meter.h"
#include "inspector.h"
#include "report.h"
#include "signals.h"
#include "task.h"
#include "watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How the host's own commands start: they are modules that return a function. */
static const char command_chunk[] = "local name = ...\n"
                                    "return require(name)(select(2, ...))\n";

typedef struct Script {
  TaskOwner owner;
  Runtime *rt;
  Signals signals;
  Inspector inspector;
  const CliRequest *request;
  int argc;
  char **argv;
  int signum; /* the signal that cancelled the tasks, or 0 */
  bool ended;
  int result; /* the exit status that the prompt returned */
  TaskStatus status;
} Script;

/* --- loading: runs protected in the main state --- */

/* The global `arg`, as lua.c makes it: the script is arg[0], what stands before it is negative. */
static void set_arg(lua_State *L, const Script *s) {
  const CliRequest *r = s->request;
  char exe[4096];
  size_t size = sizeof exe;
  lua_newtable(L);
  for (int i = 0; i < r->first; i++) {
    lua_pushstring(L, s->argv[i]);
    lua_rawseti(L, -2, i - r->first);
  }
  if (r->command == CLI_TEST || r->command == CLI_REPL) {
    lua_pushfstring(L, "moonloop %s", r->command == CLI_TEST ? "test" : "repl");
    lua_rawseti(L, -2, 0);
    if (uv_exepath(exe, &size) == 0) { /* so that specs can run the binary that runs them */
      lua_pushstring(L, exe);
      lua_rawseti(L, -2, -1);
    }
  } else {
    lua_pushstring(L, s->argv[r->first]);
    lua_rawseti(L, -2, 0);
  }
  for (int i = 0; i < r->nargs; i++) {
    lua_pushstring(L, r->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
}

static void load_command(lua_State *L, const char *module) {
  if (luaL_loadbuffer(L, command_chunk, sizeof command_chunk - 1, "=moonloop") != LUA_OK)
    lua_error(L);
  lua_pushstring(L, module);
}

/* Pushes the main function and its arguments. */
static int load_main(lua_State *L) {
  Script *s = lua_touserdata(L, 1);
  const CliRequest *r = s->request;
  lua_settop(L, 0);
  lua_pushlightuserdata(L, &s->signals);
  lua_setfield(L, LUA_REGISTRYINDEX, SIGNALS_KEY);
  set_arg(L, s);
  switch (r->command) {
  case CLI_SERVE:
    load_command(L, "moonloop.serve");
    lua_pushstring(L, r->target);
    lua_pushstring(L, r->host);
    lua_pushinteger(L, r->port);
    lua_pushnumber(L, r->drain);
    lua_pushliteral(L, ML_VERSION);
    return lua_gettop(L);
  case CLI_REPL:
    load_command(L, "moonloop.repl");
    lua_pushliteral(L, ML_VERSION);
    return lua_gettop(L);
  case CLI_TEST:
    load_command(L, "moonloop.test");
    return lua_gettop(L);
  case CLI_EVAL:
    if (luaL_loadbuffer(L, r->target, strlen(r->target), "=(command line)") != LUA_OK) lua_error(L);
    break;
  default:
    if (luaL_loadfile(L, strcmp(r->target, "-") == 0 ? NULL : r->target) != LUA_OK) lua_error(L);
  }
  luaL_checkstack(L, r->nargs, "too many arguments");
  for (int i = 0; i < r->nargs; i++) lua_pushstring(L, r->args[i]);
  return lua_gettop(L);
}

/* --- running --- */

/* Moves error and traceback to the main state, where they are printed after this pass. */
static void main_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  Script *s = (Script *)owner;
  s->ended = true;
  s->status = t->status;
  if (t->status == TASK_DONE) {
    if (s->request->command == CLI_REPL) s->result = (int)lua_tointeger(L, -1);
    return;
  }
  lua_pushstring(L, traceback);
  lua_xmove(L, s->rt->L, 2);
}

static bool is_done(void *data) {
  Script *s = data;
  if (s->rt->stopping) return true;
  if (!s->ended) return false;
  return s->rt->live == 0 || (s->status != TASK_DONE && !s->signum);
}

static void on_signal(Signals *signals, int signum) {
  Script *s = (Script *)(void *)((char *)signals - offsetof(Script, signals));
  CancelCause *cause = cause_new(s->rt, signum == SIGINT ? "SIGINT" : "SIGTERM");
  if (!cause) return;
  if (signum == SIGINT && signals->foreground) {
    if (signals->foreground->task) task_cancel(signals->foreground->task, cause);
  } else {
    s->signum = signum;
    for (Task *t = s->rt->roots; t; t = t->sibling) task_cancel(t, cause);
  }
  cause_drop(cause);
}

/* The status that the main task's end gives, after its error has been printed. */
static int main_status(Script *s) {
  if (s->signum) return 128 + s->signum;
  switch (s->status) {
  case TASK_DONE:
    return s->result;
  case TASK_CANCELLED:
    report_print(s->rt, "moonloop: the main task was cancelled\n");
    return 1;
  default:
    report_error(s->rt->L, "moonloop", -2, lua_tostring(s->rt->L, -1), NULL);
    return 1;
  }
}

static int run(Script *s) {
  Runtime *rt = s->rt;
  lua_State *L = rt->L;
  lua_pushcfunction(L, load_main);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    fprintf(stderr, "moonloop: %s\n", luaL_tolstring(L, -1, NULL));
    return 1;
  }
  Task *t = task_start(L, rt, NULL, lua_gettop(L) - 1, &s->owner);
  t->name = "main";
  t->is_host = s->request->command == CLI_SERVE || s->request->command == CLI_REPL;
  runtime_run(rt, is_done, s);
  if (rt->stopping) return rt->exit_code;
  if (!s->ended) {
    report_print(rt, "moonloop: the main task waits for what can never happen\n");
    return 1;
  }
  return main_status(s);
}

int script_main(const CliRequest *request, int argc, char **argv) {
  static Script script; /* the loop's signal handles are in it until the loop is closed */
  script = (Script){.owner = {main_ended}, .request = request, .argc = argc, .argv = argv};
  signals_ignore_pipe(request->command != CLI_SERVE);
  script.rt = runtime_new();
  if (!script.rt) {
    fprintf(stderr, "moonloop: cannot start: out of memory or file descriptors\n");
    return 1;
  }
  int rc = signals_open(&script.signals, script.rt, on_signal);
  if (rc) fprintf(stderr, "moonloop: cannot catch signals: %s\n", uv_strerror(rc));
  inspector_open(&script.inspector, script.rt);
  cpu_meter_start(script.rt);
  /* A spec may compute for as long as it likes: it is the only one. */
  rc = request->command == CLI_TEST
           ? 0
           : watchdog_start(script.rt, request->block_limit, request->cpu_limit);
  if (rc) fprintf(stderr, "moonloop: cannot watch the loop: %s\n", uv_strerror(rc));
  script.signals.second_ends = request->command != CLI_REPL || !isatty(STDIN_FILENO);
  int status = run(&script);
  return runtime_close(script.rt) == 0 ? status : 70; /* EX_SOFTWARE: a handle was left open */
}
