/* An example of a module in C: a function that suspends its task until libuv has completed it.

     local process = require "process"
     assert(process.run("tar", "-xf", "archive.tar")) */
#include <moonloop.h>

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_ARGS 64

typedef struct Run {
  uv_process_t process; /* first, since freeing the handle frees the whole struct */
  ml_Waker waker;
  int status, signum;
} Run;

static void free_run(uv_handle_t *process) { free(process); }

static void on_exit_of(uv_process_t *process, int64_t status, int signum) {
  Run *run = (Run *)process;
  run->status = (int)status;
  run->signum = signum;
  /* There is no task to tell: the runtime is closing. */
  if (!ml_wait_wake(run->waker)) uv_close((uv_handle_t *)process, free_run);
}

/* Only asks the process to end (cancel_is_deferred): the wait lasts until it has ended, so that a
   cancelled task leaves no process behind. */
static void run_cancel(ml_Task *t, void *op) {
  (void)t;
  uv_process_kill(op, SIGKILL);
}

static int run_finish(lua_State *L, ml_Task *t, void *op) {
  (void)t;
  Run *run = op;
  int status = run->status, signum = run->signum;
  char code[16];
  uv_close((uv_handle_t *)&run->process, free_run);
  ml_wait_check_cancel(L);
  if (status == 0 && signum == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  snprintf(code, sizeof code, "%d", signum ? signum : status);
  return ml_error_return(L, signum ? "signal" : "exit", code, "%s %s", lua_tostring(L, 1),
                         signum ? "was killed" : "has failed");
}

static const ml_WaitType run_wait = {
    .name = "process", .cancel = run_cancel, .finish = run_finish, .cancel_is_deferred = true};

/* run(file, ...) -> true | nil, err: runs a program with the same standard output and error.
   err.kind is "exit" or "signal", with the number as err.code, or "process" if it could not be
   started. */
static int l_run(lua_State *L) {
  char *args[MAX_ARGS + 1] = {NULL};
  int n = lua_gettop(L);
  luaL_argcheck(L, n <= MAX_ARGS, n, "too many arguments");
  for (int i = 0; i < n || i == 0; i++) args[i] = (char *)luaL_checkstring(L, i + 1);
  uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                  {.flags = UV_INHERIT_FD, .data.fd = 1},
                                  {.flags = UV_INHERIT_FD, .data.fd = 2}};
  uv_process_options_t options = {
      .file = args[0], .args = args, .exit_cb = on_exit_of, .stdio = stdio, .stdio_count = 3};

  ml_Task *t = ml_wait_enter(L, "process.run");
  Run *run = calloc(1, sizeof *run);
  if (!run) return luaL_error(L, "not enough memory");
  run->waker = ml_wait_waker(t);
  int rc = uv_spawn(ml_runtime_loop(ml_runtime_of(L)), &run->process, &options);
  if (rc == 0) return ml_wait_suspend(L, t, &run_wait, run);
  uv_close((uv_handle_t *)&run->process, free_run);
  return ml_error_return(L, "process", uv_err_name(rc), "%s: %s", args[0], uv_strerror(rc));
}

int luaopen_process(lua_State *L) {
  static const luaL_Reg functions[] = {{"run", l_run}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
