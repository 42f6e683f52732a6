/* pty: a program on a terminal of its own, for the specs of the prompt. Test-only, built beside the
   binary. Its calls block the loop, for as long as they say at most. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PTY "moonloop.pty"
#define MAX_ARGS 16

typedef struct Pty {
  int fd;
  pid_t pid; /* 0 when it has been waited for */
  int status;
} Pty;

static Pty *check_pty(lua_State *L) { return luaL_checkudata(L, 1, PTY); }

/* open(columns, rows, program, arg, ...) -> pty. TERM is xterm. */
static int l_open(lua_State *L) {
  const char *argv[MAX_ARGS + 1] = {NULL};
  struct winsize size = {.ws_col = (unsigned short)luaL_checkinteger(L, 1),
                         .ws_row = (unsigned short)luaL_checkinteger(L, 2)};
  int n = lua_gettop(L) - 2;
  luaL_argcheck(L, n >= 1 && n <= MAX_ARGS, 3, "the program is missing");
  for (int i = 0; i < n; i++) argv[i] = luaL_checkstring(L, i + 3);
  Pty *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (Pty){.fd = -1};
  luaL_setmetatable(L, PTY);
  p->pid = forkpty(&p->fd, NULL, NULL, &size);
  if (p->pid < 0) return luaL_error(L, "forkpty failed");
  if (p->pid == 0) {
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    signal(SIGHUP, SIG_DFL); /* the specs may run under nohup, but no program on a new terminal */
    execv(argv[0], (char **)argv);
    _exit(127);
  }
  return 1;
}

/* pty:write(bytes): types them */
static int l_write(lua_State *L) {
  Pty *p = check_pty(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  while (n > 0) {
    ssize_t written = write(p->fd, data, n);
    if (written < 0 && errno != EINTR) return luaL_error(L, "the terminal has gone");
    if (written < 0) continue;
    data += written;
    n -= (size_t)written;
  }
  return 0;
}

/* pty:read(seconds) -> what the program has written, "" after that time, nil when it is gone */
static int l_read(lua_State *L) {
  Pty *p = check_pty(L);
  struct pollfd event = {.fd = p->fd, .events = POLLIN};
  char data[4096];
  if (poll(&event, 1, (int)(luaL_checknumber(L, 2) * 1000)) == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  ssize_t n = read(p->fd, data, sizeof data);
  if (n <= 0) return 0;
  lua_pushlstring(L, data, (size_t)n);
  return 1;
}

/* pty:resize(columns, rows) */
static int l_resize(lua_State *L) {
  struct winsize size = {.ws_col = (unsigned short)luaL_checkinteger(L, 2),
                         .ws_row = (unsigned short)luaL_checkinteger(L, 3)};
  ioctl(check_pty(L)->fd, TIOCSWINSZ, &size);
  return 0;
}

/* pty:kill(signal number) */
static int l_kill(lua_State *L) {
  Pty *p = check_pty(L);
  if (p->pid > 0) kill(p->pid, (int)luaL_checkinteger(L, 2));
  return 0;
}

/* pty:wait(seconds) -> exit status, 128 + n after signal n; nil when it still runs */
static int l_wait(lua_State *L) {
  Pty *p = check_pty(L);
  for (int ms = (int)(luaL_checknumber(L, 2) * 1000); p->pid > 0; ms -= 5) {
    if (waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
      p->pid = 0;
      break;
    }
    if (ms <= 0) return 0;
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  }
  lua_pushinteger(L, WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status));
  return 1;
}

/* pty:hang_up(): the terminal is gone, as when its window is closed */
static int l_hang_up(lua_State *L) {
  Pty *p = check_pty(L);
  close(p->fd);
  p->fd = -1;
  return 0;
}

static int l_close(lua_State *L) {
  Pty *p = check_pty(L);
  if (p->pid > 0) {
    kill(p->pid, SIGKILL);
    waitpid(p->pid, &p->status, 0);
    p->pid = 0;
  }
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
  return 0;
}

int luaopen_pty(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", l_write},     {"read", l_read},   {"resize", l_resize}, {"kill", l_kill},
      {"wait", l_wait},       {"close", l_close}, {"__close", l_close}, {"__gc", l_close},
      {"hang_up", l_hang_up}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  luaL_newmetatable(L, PTY);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
