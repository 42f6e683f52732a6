#include "script.h"

#include "cpu_meter.h"
#include "descriptor_limit.h"
#include "inspector.h"
#include "main_task.h"
#include "signals.h"
#include "supervised.h"
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
  MainTask main;
  Runtime *rt;
  Signals signals;
  Inspector inspector;
  Supervised supervised; /* of a worker process */
  const CliRequest *request;
  int argc;
  char **argv;
} Script;

/* --- loading: runs protected in the main state --- */

/* The global `arg`, as lua.c makes it: the script is arg[0], what stands before it is negative. */
static void set_arg(lua_State *L, const Script *s) {
  const CliRequest *r = s->request;
  char exe[4096];
  size_t size = sizeof exe;
  if (r->command == CLI_TEST || r->command == CLI_REPL)
    lua_pushfstring(L, "moonloop %s", r->command == CLI_TEST ? "test" : "repl");
  else
    lua_pushstring(L, s->argv[r->first]);
  main_task_push_arg(L, lua_tostring(L, -1), r->nargs, r->args);
  for (int i = 0; i < r->first; i++) {
    lua_pushstring(L, s->argv[i]);
    lua_rawseti(L, -2, i - r->first);
  }
  if (r->command == CLI_TEST || r->command == CLI_REPL) {
    if (uv_exepath(exe, &size) == 0) { /* so that specs can run the binary that runs them */
      lua_pushstring(L, exe);
      lua_rawseti(L, -2, -1);
    }
  }
  lua_setglobal(L, "arg");
  lua_pop(L, 1);
}

static void load_command(lua_State *L, const char *module) {
  if (luaL_loadbuffer(L, command_chunk, sizeof command_chunk - 1, "=moonloop") != LUA_OK)
    lua_error(L);
  lua_pushstring(L, module);
}

/* Pushes the options of `ml.web.listen` that serve was given. */
static void push_listen_options(lua_State *L, const CliRequest *r) {
  lua_newtable(L);
  lua_pushstring(L, r->host);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, r->port);
  lua_setfield(L, -2, "port");
  lua_pushstring(L, r->access_log);
  lua_setfield(L, -2, "access_log");
  for (int i = 0; i < HTTP_LIMITS; i++) {
    if (!r->is_limited[i]) continue;
    lua_pushnumber(L, r->limits[i]);
    lua_setfield(L, -2, http_limits[i].name);
  }
}

/* Pushes the main function and its arguments. */
static int load_main(lua_State *L) {
  Script *s = lua_touserdata(L, 1);
  const CliRequest *r = s->request;
  lua_settop(L, 0);
  lua_pushlightuserdata(L, &s->signals);
  lua_setfield(L, LUA_REGISTRYINDEX, SIGNALS_KEY);
  if (s->supervised.number) {
    lua_pushlightuserdata(L, &s->supervised);
    lua_setfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  }
  set_arg(L, s);
  switch (r->command) {
  case CLI_SERVE:
    load_command(L, "moonloop.serve");
    lua_pushstring(L, r->target);
    push_listen_options(L, r);
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

static void on_signal(Signals *signals, int signum) {
  Script *s = container_of(signals, Script, signals);
  const char *reason = signum == SIGINT ? "SIGINT" : "SIGTERM";
  if (signum != SIGINT || !signals->foreground) {
    main_task_stop(&s->main, reason, 128 + signum);
    return;
  }
  CancelCause *cause = cause_new(s->rt, reason);
  if (cause && signals->foreground->task) task_cancel(signals->foreground->task, cause);
  cause_drop(cause);
}

int script_main(const CliRequest *request, int argc, char **argv) {
  static Script script; /* the loop's signal handles are in it until the loop is closed */
  script = (Script){.request = request, .argc = argc, .argv = argv};
  script.main.is_host = request->command == CLI_SERVE || request->command == CLI_REPL;
  script.main.gives_status = request->command == CLI_REPL;
  signals_ignore_pipe(request->command != CLI_SERVE);
  if (request->command == CLI_SERVE) descriptor_limit_raise();
  if (request->command == CLI_SERVE && supervised_is_wanted()) {
    const char *wrong = supervised_take(&script.supervised);
    if (wrong) {
      fprintf(stderr, "moonloop: %s\n", wrong);
      return 1;
    }
  }
  script.rt = runtime_new();
  if (!script.rt) {
    fprintf(stderr, "moonloop: cannot start: out of memory or file descriptors\n");
    return 1;
  }
  int rc = signals_open(&script.signals, script.rt, on_signal);
  if (rc) fprintf(stderr, "moonloop: cannot catch signals: %s\n", uv_strerror(rc));
  rc = script.supervised.number ? supervised_open(&script.supervised, script.rt, &script.signals)
                                : 0;
  if (rc) fprintf(stderr, "moonloop: cannot hear the supervisor: %s\n", uv_strerror(rc));
  inspector_open(&script.inspector, script.rt);
  cpu_meter_start(script.rt);
  /* A spec may compute for as long as it likes: it is the only one. */
  rc = request->command == CLI_TEST
           ? 0
           : watchdog_start(script.rt, request->block_limit, request->cpu_limit);
  if (rc) fprintf(stderr, "moonloop: cannot watch the loop: %s\n", uv_strerror(rc));
  /* A worker may get each signal twice, from its supervisor and from whoever sent it to all. */
  script.signals.second_ends =
      request->command == CLI_REPL ? !isatty(STDIN_FILENO) : !script.supervised.number;
  int status = main_task_run(&script.main, script.rt, load_main, &script);
  return runtime_close(script.rt) == 0 ? status : 70; /* EX_SOFTWARE: a handle was left open */
}
