/* The functions of moonloop.h that only C programs that embed the host call: running and closing
   runtimes (bindings/embed.c makes them). */
#include "core/remote.h"
#include "core/report.h"

#include <string.h>

int ml_runtime_close(Runtime *rt) { return runtime_close(rt); }

lua_State *ml_runtime_state(Runtime *rt) { return rt->L; }

void ml_on_report(Runtime *rt, void (*print)(void *data, const char *text), void *data) {
  report_to(rt, print, data);
}

/* The program to run: a file, or a piece of code with a name. */
typedef struct Program {
  const char *path;
  const char *code, *name;
  int argc;
  char *const *argv;
} Program;

/* Protected: (program as light userdata) -> function, arguments. */
static int l_load(lua_State *L) {
  const Program *p = lua_touserdata(L, 1);
  main_task_push_arg(L, p->path ? p->path : p->name, p->argc, p->argv);
  lua_setglobal(L, "arg");
  lua_settop(L, 0);
  int status;
  if (p->path)
    status = luaL_loadfile(L, p->path);
  else
    status = luaL_loadbuffer(L, p->code, strlen(p->code), lua_pushfstring(L, "=%s", p->name));
  if (status != LUA_OK) return lua_error(L);
  int first = lua_gettop(L);
  luaL_checkstack(L, p->argc, "too many arguments");
  for (int i = 0; i < p->argc; i++) lua_pushstring(L, p->argv[i]);
  return lua_gettop(L) - first + 1;
}

static int run(Runtime *rt, Program *program) {
  MainTask main = {0};
  if (rt->looping || rt->closing) {
    report_say(rt, LOG_ERROR, "this runtime is running already");
    return 1;
  }
  int top = lua_gettop(rt->L);
  remote_run_begins(rt->remote, &main);
  int status = main_task_run(&main, rt, l_load, program);
  remote_run_over(rt->remote);
  runtime_cancel_all(rt, "the program has ended", RUNTIME_CLEANUP_SECONDS);
  if (main.task) main.task->owner = NULL; /* it would not end, since `main` ends first */
  exit_over(&rt->exit);                   /* os.exit has ended this run, not the next */
  report_flush(rt, true);
  lua_settop(rt->L, top);
  return status;
}

int ml_run_file(Runtime *rt, const char *path, int argc, char *const *argv) {
  return run(rt, &(Program){.path = path, .argc = argc, .argv = argv});
}

int ml_run_string(Runtime *rt, const char *code, const char *name) {
  return run(rt, &(Program){.code = code, .name = name});
}
