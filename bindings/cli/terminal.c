/* moonloop.terminal: standard input and the line editor, for the prompt
 * (scripts/moonloop/repl/init.lua). */
#include "cli/terminal.h"

#include "bindings/args.h"
#include "bindings/cli/open.h"
#include "core/signals.h"
#include "core/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Standard input, for the one task of the prompt that waits for it. It lives until the loop is
   closed. */
typedef struct Input {
  Runtime *rt;
  Signals *signals;
  Terminal *terminal; /* NULL: input or output is not a terminal */
  uv_poll_t poll;
  bool polled; /* false: a file, which is always ready */
  bool signalled;
  Waker waker;
  CloseHook close;
} Input;

static Input *input_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static Terminal *check_terminal(lua_State *L) {
  Terminal *t = input_of(L)->terminal;
  if (!t) luaL_error(L, "there is no terminal to edit on");
  return t;
}

/* --- waiting --- */

static void on_readable(uv_poll_t *poll, int status, int events) {
  Input *in = poll->data;
  (void)status; /* an error counts too: read() reports it */
  (void)events;
  uv_poll_stop(poll);
  ml_wait_wake(in->waker);
}

static void stop_waiting(Input *in) {
  if (in->polled) uv_poll_stop(&in->poll);
  if (in->signals) in->signals->waiter.task = NULL;
  in->waker.task = NULL;
}

static int push_event(lua_State *L, Input *in) {
  int signum = in->signals ? in->signals->taken : 0;
  if (signum == 0)
    lua_pushliteral(L, "input");
  else
    lua_pushstring(L, signals_name(signum));
  if (in->signals) in->signals->taken = 0;
  return 1;
}

static void wait_cancel(Task *t, void *op) {
  (void)t;
  stop_waiting(op);
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  stop_waiting(op);
  return push_event(L, op);
}

static const WaitType input_wait = {.name = "input", .cancel = wait_cancel, .finish = wait_finish};

/* wait() -> "input" when there is something to read, or the signal that came, "SIGINT" or
   "SIGTERM". */
static int l_wait(lua_State *L) {
  Input *in = input_of(L);
  Task *t = ml_wait_enter(L, "terminal.wait");
  if (in->waker.task) return luaL_error(L, "another task waits for input");
  if (!in->polled || (in->signals && in->signals->taken)) return push_event(L, in);
  int rc = uv_poll_start(&in->poll, UV_READABLE, on_readable);
  if (rc) return luaL_error(L, "cannot wait for input: %s", uv_strerror(rc));
  in->waker = ml_wait_waker(t);
  if (in->signals) in->signals->waiter = in->waker;
  return ml_wait_suspend(L, t, &input_wait, in);
}

/* read() -> the input that is there, or nil at the end. Waits only for a file. */
static int l_read(lua_State *L) {
  luaL_Buffer b;
  char *data = luaL_buffinitsize(L, &b, LUAL_BUFFERSIZE);
  ssize_t n;
  do n = read(STDIN_FILENO, data, LUAL_BUFFERSIZE);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return 0;
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* --- editing --- */

/* fresh_line(): ends a line of output that is still open */
static int l_fresh_line(lua_State *L) {
  terminal_fresh_line(check_terminal(L));
  return 0;
}

/* begin(prompt): shows it and starts a line */
static int l_begin(lua_State *L) {
  terminal_begin(check_terminal(L), luaL_checkstring(L, 1));
  return 0;
}

/* feed() -> "more" | "line", text | "eof" | "interrupt" | "complete", text before the cursor */
static int l_feed(lua_State *L) {
  static const char *const names[] = {"more", "line", "eof", "interrupt", "complete"};
  const char *text = NULL;
  size_t length = 0;
  TerminalEvent event = terminal_feed(check_terminal(L), &text, &length);
  lua_pushstring(L, names[event]);
  if (!text) return 1;
  lua_pushlstring(L, text, length);
  return 2;
}

/* abandon(): drops the line */
static int l_abandon(lua_State *L) {
  terminal_abandon(check_terminal(L));
  return 0;
}

/* insert(text): at the cursor */
static int l_insert(lua_State *L) {
  terminal_insert(check_terminal(L), luaL_checkstring(L, 1));
  return 0;
}

/* beep() */
static int l_beep(lua_State *L) {
  terminal_ring(check_terminal(L));
  return 0;
}

/* keep(n): keeps the newest n lines for the arrow keys */
static int l_keep(lua_State *L) {
  terminal_limit_history(check_terminal(L), (int)luaL_checkinteger(L, 1));
  return 0;
}

/* remember(line): adds it to the lines for the arrow keys */
static int l_remember(lua_State *L) {
  terminal_add_history(check_terminal(L), luaL_checkstring(L, 1));
  return 0;
}

/* width() -> columns */
static int l_width(lua_State *L) {
  lua_pushinteger(L, terminal_width(check_terminal(L)));
  return 1;
}

/* foreground(task | nil [, serves_nobody]): SIGINT cancels this task instead of all tasks. With
   serves_nobody it may hold up the loop if no other task waits (watchdog.h). */
static int l_foreground(lua_State *L) {
  Input *in = input_of(L);
  watchdog_set_serves_nobody(runtime_of(L), lua_toboolean(L, 2));
  if (!in->signals) return 0;
  TaskHandle *handle = lua_isnoneornil(L, 1) ? NULL : args_check_task(L, 1);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &in->signals->foreground); /* keeps it alive */
  signals_set_foreground(in->signals, handle);
  return 0;
}

/* --- opening --- */

static void on_closed(uv_handle_t *handle) { free(handle->data); }

static void close_input(CloseHook *hook, Runtime *rt) {
  Input *in = container_of(hook, Input, close);
  (void)rt;
  if (in->signals) {
    in->signals->restore = NULL;
    signals_set_foreground(in->signals, NULL);
  }
  if (in->polled)
    uv_close((uv_handle_t *)&in->poll, on_closed);
  else
    free(in);
}

static Input *open_input(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Input *in = calloc(1, sizeof *in);
  if (!in) luaL_error(L, "not enough memory");
  in->rt = rt;
  in->signals = signals_of(L);
  if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) in->terminal = terminal_open(rt);
  if (in->terminal && in->signals) {
    in->signals->keep = true;
    in->signals->restore_data = in->terminal;
    in->signals->restore = terminal_restore;
  }
  /* libuv makes what it polls non-blocking, and that affects everybody who shares it: the shell,
     and our own standard output on the same terminal. */
  int flags = fcntl(STDIN_FILENO, F_GETFL);
  in->polled = uv_poll_init(&rt->loop, &in->poll, STDIN_FILENO) == 0;
  if (flags >= 0) fcntl(STDIN_FILENO, F_SETFL, flags);
  in->poll.data = in;
  in->close.close = close_input;
  ml_runtime_on_close(rt, &in->close);
  return in;
}

/* The module; there is one per process. */
int luaopen_moonloop_terminal(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", l_wait},
                                       {"read", l_read},
                                       {"begin", l_begin},
                                       {"feed", l_feed},
                                       {"insert", l_insert},
                                       {"abandon", l_abandon},
                                       {"beep", l_beep},
                                       {"keep", l_keep},
                                       {"width", l_width},
                                       {"remember", l_remember},
                                       {"fresh_line", l_fresh_line},
                                       {"foreground", l_foreground},
                                       {NULL, NULL}};
  Input *in = open_input(L);
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, in);
  luaL_setfuncs(L, functions, 1);
  lua_pushboolean(L, in->terminal != NULL);
  lua_setfield(L, -2, "interactive");
  if (in->terminal) {
    lua_getglobal(L, "io");
    lua_getfield(L, -1, "stdout");
    terminal_take_stream(in->terminal, L, -1);
    lua_getfield(L, -2, "stderr");
    terminal_take_stream(in->terminal, L, -1);
    lua_pop(L, 3);
  }
  return 1;
}
