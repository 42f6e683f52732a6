#include "bindings/process/process_spec.h"

#include "bindings/fields.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where programs are looked for if the environment has no PATH. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* The list at `index` as an array for exec, left on the stack. The strings stay the list's. */
static char **push_array(lua_State *L, int index) {
  size_t n = lua_rawlen(L, index);
  const char **array = lua_newuserdatauv(L, (n + 1) * sizeof *array, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    array[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  array[n] = NULL;
  return (char **)array;
}

/* --- the environment --- */

/* Appends the string on the top of the stack, and pops it, to the list below it. */
static void append(lua_State *L) { lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1); }

/* Appends those of our variables that the table at `env` does not set or remove. */
static void append_ours(lua_State *L, int env) {
  for (char **variable = environ; *variable; variable++) {
    const char *end = strchr(*variable, '=');
    if (!end) continue;
    lua_pushlstring(L, *variable, (size_t)(end - *variable));
    bool keeps = lua_rawget(L, env) == LUA_TNIL;
    lua_pop(L, 1);
    if (!keeps) continue;
    lua_pushstring(L, *variable);
    append(L);
  }
}

/* Ours, changed as `env` of the options says; a name that has `false` there is removed. */
static char *const *read_env(lua_State *L) {
  bool clear = fields_flag(L, 2, "clear_env", false);
  bool changes = lua_getfield(L, 2, "env") != LUA_TNIL;
  if (!changes) {
    if (!clear) return environ;
    lua_newtable(L);
  }
  int env = lua_gettop(L);
  lua_newtable(L);
  if (!clear) append_ours(L, env);
  for (lua_pushnil(L); lua_next(L, env);) {
    if (lua_isstring(L, -1)) {
      lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
      lua_rawseti(L, env + 1, (lua_Integer)lua_rawlen(L, env + 1) + 1);
    }
    lua_pop(L, 1);
  }
  return push_array(L, env + 1);
}

static const char *path_in(char *const *env) {
  for (; *env; env++)
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  return DEFAULT_PATH;
}

/* --- the rest --- */

static void read_ends(lua_State *L, ProcessOptions *options) {
  static const char *const names[] = {"null", "inherit", "file", "stdout", "text", "stream", NULL};
  lua_getfield(L, 2, "ends");
  lua_getfield(L, 2, "files");
  for (int i = 0; i < 3; i++) {
    lua_rawgeti(L, -2, i + 1);
    options->ends[i] = (ProcessEnd)luaL_checkoption(L, -1, "null", names);
    lua_pop(L, 1);
    if (options->ends[i] != PROCESS_FILE) continue;
    lua_rawgeti(L, -1, i + 1);
    options->files[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  if (lua_getfield(L, 2, "text") == LUA_TSTRING)
    options->text = lua_tolstring(L, -1, &options->text_size);
}

void process_spec_read(lua_State *L, ProcessOptions *options) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  *options = (ProcessOptions){.timeout = fields_number(L, 2, "timeout", HUGE_VAL),
                              .kill_after = fields_number(L, 2, "kill_after", 0),
                              .keep_group = fields_flag(L, 2, "keep_group", false)};
  options->max_output = (size_t)fields_number(L, 2, "max_output", 0);
  options->spec.group = fields_flag(L, 2, "group", false);
  options->spec.cwd = fields_text(L, 2, "cwd", NULL);
  options->spec.argv = push_array(L, 1);
  options->spec.env = read_env(L);
  options->spec.path = path_in(options->spec.env);
  read_ends(L, options);
}

/* --- what was wrong with it --- */

int process_spec_fail(lua_State *L, const ProcessOptions *options, const ProcessFailure *failure) {
  const SpawnSpec *spec = &options->spec;
  const char *name = spec->argv[0], *why = strerrordesc_np(failure->error);
  const char *code = strerrorname_np(failure->error);
  char what[400];
  switch (failure->step) {
  case SPAWN_CWD:
    snprintf(what, sizeof what, "the folder '%s' (cwd) cannot be entered: %s", spec->cwd, why);
    break;
  case SPAWN_FIND:
    if (failure->error == ENOENT)
      snprintf(what, sizeof what, "there is no such program in PATH (%.300s)", spec->path);
    else
      snprintf(what, sizeof what, "it is in PATH, but may not be executed: %s", why);
    break;
  case SPAWN_INTERPRETER:
    snprintf(what, sizeof what, "the file is there, but not the interpreter that it needs: %s",
             why);
    break;
  case PROCESS_PIPES:
    snprintf(what, sizeof what, "no pipes for it: %s", why);
    break;
  case PROCESS_OPEN:
    snprintf(what, sizeof what, "'%s' (std%s) cannot be written: %s", options->files[failure->end],
             failure->end == 1 ? "out" : "err", why);
    break;
  case PROCESS_WATCH:
    snprintf(what, sizeof what, "it was started and cannot be watched, so it was killed: %s", why);
    break;
  default:
    snprintf(what, sizeof what, "%s%s%s%s%s", why,
             failure->error == ENOEXEC ? " (a script begins with a line such as #!/bin/sh)" : "",
             spec->cwd ? " (in '" : "", spec->cwd ? spec->cwd : "", spec->cwd ? "')" : "");
  }
  return ml_error_return(L, "process", code, "cannot run '%s': %s", name, what);
}
