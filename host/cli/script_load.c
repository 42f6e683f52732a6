/* Loads the function that a script's main task runs, for script.h. */
#include "base/archive.h"
#include "cli/arguments.h"
#include "cli/script.h"
#include "core/main_task.h"
#include "core/report.h"
#include "core/script_place.h"
#include "core/signals.h"
#include "serve/privileges.h"
#include "serve/serve_sockets.h"
#include "serve/service.h"
#include "serve/supervised.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Starts the host's own commands, which are modules that return a function. */
static const char command_chunk[] = "local name = ...\n"
                                    "return require(name)(select(2, ...))\n";

/* Sets the global `arg`, as lua.c does: the script is arg[0], and what comes before it has negative
   indices. */
static void set_arg(lua_State *L, const ScriptSource *s) {
  const CliRequest *r = s->request;
  char exe[4096];
  size_t size = sizeof exe;
  bool is_own = r->command != CLI_RUN && r->command != CLI_SERVE && r->command != CLI_WORK;
  if (is_own)
    lua_pushfstring(L, "moonloop %s", arguments_command_name(r->command));
  else
    lua_pushstring(L, archive_main() && r->target ? r->target : s->argv[r->first]);
  main_task_push_arg(L, lua_tostring(L, -1), r->nargs, r->args);
  for (int i = 0; i < r->first; i++) {
    lua_pushstring(L, s->argv[i]);
    lua_rawseti(L, -2, i - r->first);
  }
  if (is_own) {
    if (uv_exepath(exe, &size) == 0) { /* lets specs run the binary that runs them */
      lua_pushstring(L, exe);
      lua_rawseti(L, -2, -1);
    }
  }
  lua_setglobal(L, "arg");
  lua_pop(L, 1);
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void load_command(lua_State *L, const char *module) {
  if (luaL_loadbuffer(L, command_chunk, sizeof command_chunk - 1, SCRIPT_PLACE_HOST) != LUA_OK)
    lua_error(L);
  lua_pushstring(L, module);
}

/* Sets the option `tls` of the table on the top. */
static void set_tls(lua_State *L, const CliRequest *r) {
  if (!r->n_tls_certs) return;
  lua_createtable(L, 0, 1);
  lua_createtable(L, r->n_tls_certs, 0);
  for (int i = 0; i < r->n_tls_certs; i++) {
    lua_createtable(L, 0, 2);
    set_string(L, "cert", r->tls_certs[i]);
    set_string(L, "key", r->tls_keys[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "certs");
  lua_setfield(L, -2, "tls");
}

/* Pushes the options of `ml.web.listen` that serve was given. */
static void push_listen_options(lua_State *L, const CliRequest *r) {
  lua_newtable(L);
  set_string(L, "access_log", r->access_log);
  set_string(L, "trusted_proxies", r->trusted_proxies);
  set_string(L, "root_path", r->root_path);
  if (r->proxy_protocol) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "proxy_protocol");
  }
  if (r->http2 && *r->http2 == 'c')
    lua_pushstring(L, r->http2);
  else if (r->http2)
    lua_pushboolean(L, *r->http2 == 't');
  else
    lua_pushnil(L);
  lua_setfield(L, -2, "http2");
  set_tls(L, r);
  if (r->docs) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "docs");
  }
  for (int i = 0; i < HTTP_LIMITS; i++) {
    if (!r->is_limited[i]) continue;
    lua_pushnumber(L, r->limits[i]);
    lua_setfield(L, -2, http_limits[i].name);
  }
}

/* Pushes the options of work. */
static void push_work_options(lua_State *L, const CliRequest *r) {
  lua_createtable(L, 0, 2);
  set_string(L, "queues", r->queues);
  lua_pushnumber(L, r->drain);
  lua_setfield(L, -2, "drain");
}

/* Pushes what migrate, db and jobs are asked for. */
static void push_database_request(lua_State *L, const CliRequest *r) {
  lua_createtable(L, r->nargs, 7);
  set_string(L, "verb", r->verb);
  set_string(L, "url", r->url);
  set_string(L, "dir", r->dir);
  set_string(L, "state", r->state);
  set_string(L, "name", r->name);
  set_string(L, "queue", r->queue);
  set_string(L, "limit", r->most);
  for (int i = 0; i < r->nargs; i++) {
    lua_pushstring(L, r->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_list(lua_State *L, const char *const *list, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, list[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* Pushes what build is asked for. */
static void push_build_request(lua_State *L, const CliRequest *r) {
  lua_createtable(L, 0, 4);
  set_string(L, "app", r->target);
  set_string(L, "output", r->output);
  push_list(L, r->included, r->n_included);
  lua_setfield(L, -2, "include");
  push_list(L, r->left_out, r->n_left_out);
  lua_setfield(L, -2, "leave_out");
}

/* The module of the request's command, or NULL for a script. */
static const char *module_of(const CliRequest *r) {
  switch (r->command) {
  case CLI_SERVE:
    return "moonloop.serve";
  case CLI_REPL:
    return "moonloop.repl";
  case CLI_TEST:
    return "moonloop.test";
  case CLI_MIGRATE:
    return "moonloop.sql.migrate_command";
  case CLI_DB:
    return "moonloop.sql.db_command";
  case CLI_JOBS:
    return "moonloop.jobs.jobs_command";
  case CLI_WORK:
    return "moonloop.jobs.work_command";
  case CLI_OPENAPI:
    return "moonloop.web.openapi_command";
  case CLI_TYPES:
    return r->types_to ? "moonloop.new.types_command" : "moonloop.web.types_command";
  case CLI_NEW:
    return "moonloop.new";
  case CLI_BUILD:
    return "moonloop.build";
  default:
    return NULL;
  }
}

/* Pushes the arguments of the command or the script. */
static void push_arguments(lua_State *L, const CliRequest *r) {
  switch (r->command) {
  case CLI_SERVE:
    lua_pushstring(L, r->target);
    push_listen_options(L, r);
    lua_pushliteral(L, ML_VERSION);
    lua_pushboolean(L, r->dev);
    lua_pushstring(L, privileges_warning(r->user)); /* NULL is nil */
    break;
  case CLI_REPL:
    lua_pushliteral(L, ML_VERSION);
    break;
  case CLI_OPENAPI:
    lua_pushstring(L, r->target);
    break;
  case CLI_TYPES:
    lua_pushstring(L, r->types_to ? r->types_to : r->target);
    break;
  case CLI_NEW:
    lua_pushstring(L, r->target);
    lua_pushstring(L, r->template);
    break;
  case CLI_BUILD:
    push_build_request(L, r);
    break;
  case CLI_MIGRATE:
  case CLI_DB:
  case CLI_JOBS:
    push_database_request(L, r);
    break;
  case CLI_WORK:
    lua_pushstring(L, r->target);
    push_work_options(L, r);
    lua_pushliteral(L, ML_VERSION);
    lua_pushstring(L, privileges_warning(r->user)); /* NULL is nil */
    break;
  case CLI_RUN:
    luaL_checkstack(L, r->nargs, "too many arguments");
    for (int i = 0; r->first && i < r->nargs; i++) lua_pushstring(L, r->args[i]);
    break;
  default:
    break;
  }
}

/* The value of LUA_INIT, and the name of the variable; or NULL. */
static const char *find_init(const CliRequest *r, const char **name) {
  static const char *const names[] = {"LUA_INIT" LUA_VERSUFFIX, "LUA_INIT"};
  const char *value = NULL;
  for (int i = 0; i < 2 && !value && !r->no_environment; i++) value = getenv(*name = names[i]);
  return value;
}

/* Pushes the table for moonloop.cli. */
static void push_request(lua_State *L, const CliRequest *r) {
  const char *name = NULL, *init = find_init(r, &name);
  lua_newtable(L);
  set_string(L, "init", init);
  set_string(L, "init_name", name);
  lua_createtable(L, r->n_steps, 0);
  for (int i = 0; i < r->n_steps; i++) {
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, &r->steps[i].option, 1);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, r->steps[i].text);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "steps");
  set_string(L, "command", module_of(r));
  set_string(L, "script", r->command == CLI_RUN ? r->target : NULL);
  lua_pushboolean(L, r->interactive);
  lua_setfield(L, -2, "interactive");
  set_string(L, "version", ML_VERSION);
}

/* As lua's -E: module paths are those without the environment. */
static void forget_environment(lua_State *L) {
  lua_pushboolean(L, true);
  lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  lua_getglobal(L, "package");
  set_string(L, "path", LUA_PATH_DEFAULT);
  set_string(L, "cpath", LUA_CPATH_DEFAULT);
  lua_pop(L, 1);
}

/* A script that is inside of the program, by the same function as scripts have. */
static void load_inside(lua_State *L, const char *path) {
  lua_getglobal(L, "loadfile");
  lua_pushstring(L, path);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2)) lua_error(L);
  lua_pop(L, 1);
}

static void load_file(lua_State *L, const char *path) {
  if (archive_main() && path == archive_main()) {
    load_inside(L, path);
    return;
  }
  if (luaL_loadfile(L, strcmp(path, "-") == 0 ? NULL : path) != LUA_OK) lua_error(L);
}

static void load_code(lua_State *L, const char *code) {
  if (luaL_loadbuffer(L, code, strlen(code), "=(command line)") != LUA_OK) lua_error(L);
}

/* Pushes the main function. A single script or piece of code is loaded directly, so that nothing of
   the host is in its tracebacks. */
static void load(lua_State *L, const CliRequest *r) {
  const char *name;
  bool is_one = !r->interactive && !find_init(r, &name);
  if (is_one && !r->n_steps && module_of(r)) {
    load_command(L, module_of(r));
  } else if (is_one && !r->n_steps && r->target) {
    load_file(L, r->target);
  } else if (is_one && r->n_steps == 1 && r->steps[0].option == 'e' && r->command == CLI_RUN &&
             !r->target) {
    load_code(L, r->steps[0].text);
  } else {
    load_command(L, "moonloop.cli");
    push_request(L, r);
  }
}

/* Starts the export of traces if the environment asks for it (scripts/moonloop/trace/auto.lua). */
static void start_traces(lua_State *L, const CliRequest *r) {
  static const char *const names[] = {"OTEL_EXPORTER_OTLP_ENDPOINT",
                                      "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"};
  bool is_asked = false;
  for (int i = 0; i < 3 && !is_asked; i++) is_asked = getenv(names[i]);
  bool runs_app = r->command == CLI_RUN || r->command == CLI_SERVE || r->command == CLI_WORK;
  if (!is_asked || r->no_environment || !runs_app) return;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.trace.auto");
  lua_call(L, 1, 0);
}

int script_load(lua_State *L) {
  const ScriptSource *s = lua_touserdata(L, 1);
  const CliRequest *r = s->request;
  lua_settop(L, 0);
  lua_pushlightuserdata(L, s->signals);
  lua_setfield(L, LUA_REGISTRYINDEX, SIGNALS_KEY);
  if (s->supervised->number) {
    lua_pushlightuserdata(L, s->supervised);
    lua_setfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  }
  if (s->sockets) {
    lua_pushlightuserdata(L, s->sockets);
    lua_setfield(L, LUA_REGISTRYINDEX, SERVE_SOCKETS_KEY);
  }
  if (s->service) {
    lua_pushlightuserdata(L, s->service);
    lua_setfield(L, LUA_REGISTRYINDEX, SERVICE_KEY);
  }
  set_arg(L, s);
  if (r->no_environment) forget_environment(L);
  if (r->warnings) lua_warning(L, "@on", 0);
  start_traces(L, r);
  load(L, r);
  /* Not before: while a script is read, which may wait for a person's typing, there is nothing to
     clean up. */
  int rc = signals_open(s->signals, runtime_of(L));
  if (rc) report_sayf(runtime_of(L), LOG_WARN, "cannot catch signals: %s", uv_strerror(rc));
  push_arguments(L, r);
  return lua_gettop(L);
}
