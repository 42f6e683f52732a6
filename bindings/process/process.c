/* moonloop.process.core: programs, started and waited for. Their options are checked in
   scripts/moonloop/process. */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/process/open.h"
#include "bindings/process/process_spec.h"
#include "bindings/stream/stream_object.h"
#include "core/task.h"
#include "core/wait.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PROCESS "moonloop.process"

/* The userdata. Its user value is the text for standard input. */
typedef struct ProcessBox {
  Process *process; /* NULL: released */
} ProcessBox;

static Process *check_process(lua_State *L) {
  ProcessBox *box = check_self(L, PROCESS);
  if (!box->process) luaL_error(L, "the process is released");
  return box->process;
}

/* Starts what the arguments say. Pushes the process, or nil and an error object; returns how many.
 */
static int push_started(lua_State *L) {
  ProcessOptions options;
  ProcessFailure failure;
  process_spec_read(L, &options);
  ProcessBox *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->process = NULL;
  luaL_setmetatable(L, PROCESS);
  box->process = process_start(runtime_of(L), &options, &failure);
  if (!box->process) return process_spec_fail(L, &options, &failure);
  lua_getfield(L, 2, "text");
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* start(argv, options, function) -> process | nil, err. argv: strings. options: cwd, env (false
   removes), clear_env, group, keep_group, timeout, kill_after (seconds), max_output (bytes), text,
   and for each standard descriptor `ends`, one of "null", "inherit", "file" (its path is in
   `files`), "stdout", "text", "stream". Blocks until the program has been loaded. `function`, for
   messages: the caller is going to wait for the program, so its pending cancel is raised before. */
static int l_start(lua_State *L) {
  if (!lua_isnoneornil(L, 3)) ml_wait_enter(L, luaL_checkstring(L, 3));
  return push_started(L);
}

/* --- how it ended --- */

static void push_signal(lua_State *L, int number) {
  const char *name = sigabbrev_np(number);
  if (name)
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, "%d", number);
}

static void push_text(lua_State *L, const ProcessPipe *pipe) {
  lua_pushlstring(L, pipe->text.data ? pipe->text.data : "", pipe->text.len);
}

/* Pushes why we ended it, "timeout", "limit", "ended" or nil; its code or nil; its signal or nil;
   and what it printed. Without code and signal other code has reaped it. Returns 5. */
static int push_outcome(lua_State *L, const Process *p) {
  static const char *const reasons[] = {NULL, "timeout", "limit", "ended"};
  lua_pushstring(L, reasons[p->reason]);
  if (p->signal || p->lost)
    lua_pushnil(L);
  else
    lua_pushinteger(L, p->code);
  if (p->signal)
    push_signal(L, p->signal);
  else
    lua_pushnil(L);
  push_text(L, &p->pipes[1]);
  push_text(L, &p->pipes[2]);
  return 5;
}

static void describe(const Process *p, char *text, size_t size) {
  snprintf(text, size, "program %s (pid %d)%s", p->name, (int)p->pid,
           p->asked ? ", which was told to end" : "");
}

/* --- waiting for a program that a block owns --- */

static void wait_cancel(Task *t, void *op) { waiters_leave(&((Process *)op)->line, &t->waiter); }

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return push_outcome(L, op);
}

static void wait_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  describe(op, text, size);
}

static const WaitType exit_wait = {
    .name = "a program", .cancel = wait_cancel, .finish = wait_finish, .describe = wait_describe};

/* process:wait() -> as push_outcome. A cancel leaves the program alone. */
static int l_wait(lua_State *L) {
  Process *p = check_process(L);
  if (p->over) return wait_spared(L, push_outcome(L, p), 1);
  Task *t = ml_wait_enter(L, "process:wait");
  waiters_join(&p->line, &t->waiter);
  return ml_wait_suspend(L, t, &exit_wait, p);
}

/* --- waiting for one that belongs to the call --- */

typedef struct Run {
  Process *process;
  bool cancelled;
} Run;

/* Only asks the program to end: the wait lasts until it has. */
static void run_cancel(Task *t, void *op) {
  Run *run = op;
  (void)t;
  run->cancelled = true;
  process_end(run->process, PROCESS_ENDED);
}

/* The outcome, after which the process is released: what it printed may be much. */
static int take_outcome(lua_State *L) {
  ProcessBox *box = lua_touserdata(L, 1);
  int n = push_outcome(L, box->process);
  process_release(box->process);
  box->process = NULL;
  return n;
}

static int run_finish(lua_State *L, Task *t, void *op) {
  Run *run = op;
  (void)t;
  int n = take_outcome(L);
  if (run->cancelled) ml_wait_check_cancel(L);
  return n;
}

static void run_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  describe(((const Run *)op)->process, text, size);
}

static const WaitType run_wait = {.name = "a program",
                                  .cancel = run_cancel,
                                  .finish = run_finish,
                                  .cancel_is_deferred = true,
                                  .describe = run_describe};

/* Waits for the process at index 1. A cancel ends it, also one that came while it was started. */
static int finish(lua_State *L) {
  Process *p = check_process(L);
  lua_settop(L, 1);
  if (p->over) return take_outcome(L);
  Task *t = ml_wait_enter_cleanup(L, "ml.process.run");
  Run *run = lua_newuserdatauv(L, sizeof *run, 0);
  *run = (Run){.process = p};
  if (t->cancel_pending) run_cancel(t, run);
  if (p->over) return run_finish(L, t, run);
  waiters_join(&p->line, &t->waiter);
  return ml_wait_suspend(L, t, &run_wait, run);
}

/* process:finish() -> as push_outcome. A cancel ends the program, and is raised when it has ended.
   Afterwards only `close` and `stop` may be called. */
static int l_finish(lua_State *L) { return finish(L); }

/* run(argv, options) -> as push_outcome | false, err: start and finish in one. Between two calls an
   interrupt (interrupt.h) could be raised that came during the first, and leave the program to the
   collector. */
static int l_run(lua_State *L) {
  ml_wait_enter(L, "ml.process.run");
  if (push_started(L) == 1) {
    lua_replace(L, 1);
    return finish(L);
  }
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  return 2;
}

static int close_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  (void)op;
  return 0;
}

/* A clean-up: a cancel does not end the wait. */
static const WaitType close_wait = {.name = "the end of a program",
                                    .cancel = wait_cancel_nothing,
                                    .finish = close_finish,
                                    .cancel_is_deferred = true,
                                    .describe = wait_describe};

/* process:close(): ends it, and waits for its end if the caller can wait; harmless if it has ended.
 */
static int l_close(lua_State *L) {
  Process *p = ((ProcessBox *)check_self(L, PROCESS))->process;
  lua_settop(L, 1);
  if (!p) return 0;
  process_end(p, PROCESS_ENDED);
  if (p->over || !wait_is_possible(L)) return 0;
  Task *t = ml_wait_enter_cleanup(L, "process:close");
  waiters_join(&p->line, &t->waiter);
  return ml_wait_suspend(L, t, &close_wait, p);
}

static int l_gc(lua_State *L) {
  ProcessBox *box = luaL_checkudata(L, 1, PROCESS);
  Process *p = box->process;
  if (!p) return 0;
  box->process = NULL;
#ifdef ML_DEBUG
  if (!p->exited) {
    char name[100];
    describe(p, name, sizeof name);
    lua_warning(L, name, 1);
    lua_warning(L, " was neither waited for nor closed before it was collected", 0);
  }
#endif
  process_release(p);
  return 0;
}

/* --- the rest --- */

/* process:kill(number) -> boolean: false if it has ended */
static int l_kill(lua_State *L) {
  Process *p = check_process(L);
  lua_pushboolean(L, process_kill(p, (int)luaL_checkinteger(L, 2)));
  return 1;
}

/* process:stream(number) -> stream | nil, err: our end of the pipe of its descriptor 0, 1 or 2,
   once; nil alone: there is none. */
static int l_stream(lua_State *L) {
  static const char *const names[] = {"input", "output", "error"};
  Process *p = check_process(L);
  lua_Integer which = luaL_checkinteger(L, 2);
  luaL_argcheck(L, which >= 0 && which <= 2, 2, "no standard descriptor");
  if (p->own_ends[which] < 0) return 0;
  char name[64];
  snprintf(name, sizeof name, "the standard %s of '%s'", names[which], p->name);
  int error = stream_object_push_pipe(L, p->own_ends[which], which > 0, which == 0, name);
  process_take_end(p, (int)which);
  if (!error) return 1;
  return ml_error_return(L, "process", uv_err_name(error), "opening %s: %s", name,
                         uv_strerror(error));
}

/* process:stop(): ends it, and waits for nothing */
static int l_stop(lua_State *L) {
  ProcessBox *box = check_self(L, PROCESS);
  if (box->process) process_end(box->process, PROCESS_ENDED);
  return 0;
}

/* process:pid() -> integer */
static int l_pid(lua_State *L) {
  lua_pushinteger(L, check_process(L)->pid);
  return 1;
}

/* signal_number(name) -> integer | nil: of "TERM" and the like */
static int l_signal_number(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (int number = 1; number < NSIG; number++) {
    const char *known = sigabbrev_np(number);
    if (!known || strcmp(known, name) != 0) continue;
    lua_pushinteger(L, number);
    return 1;
  }
  return 0;
}

int luaopen_moonloop_process_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"start", l_start}, {"run", l_run}, {"signal_number", l_signal_number}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"wait", l_wait}, {"finish", l_finish}, {"close", l_close},
                                     {"kill", l_kill}, {"stream", l_stream}, {"stop", l_stop},
                                     {"pid", l_pid},   {NULL, NULL}};
  class_make(L, PROCESS, methods, l_gc, l_close);
  luaL_newlib(L, functions);
  return 1;
}
