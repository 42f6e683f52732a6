/* system_call: makes system calls as machine code would that has got into an app, for the specs of
   the sandbox. Test-only. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 6 };

static const struct {
  const char *name;
  long number;
} calls[] = {
    {"accept4", SYS_accept4},
    {"bind", SYS_bind},
    {"bpf", SYS_bpf},
    {"clone", SYS_clone},
    {"close", SYS_close},
    {"connect", SYS_connect},
    {"dup", SYS_dup},
    {"dup3", SYS_dup3},
    {"fchmodat", SYS_fchmodat},
    {"fchownat", SYS_fchownat},
    {"fcntl", SYS_fcntl},
    {"ftruncate", SYS_ftruncate},
    {"io_setup", SYS_io_setup},
    {"io_uring_setup", SYS_io_uring_setup},
    {"ioctl", SYS_ioctl},
    {"keyctl", SYS_keyctl},
    {"kill", SYS_kill},
    {"listen", SYS_listen},
    {"msgget", SYS_msgget},
    {"prlimit64", SYS_prlimit64},
    {"process_vm_readv", SYS_process_vm_readv},
    {"pwrite64", SYS_pwrite64},
    {"read", SYS_read},
    {"recvmmsg", SYS_recvmmsg},
    {"recvmsg", SYS_recvmsg},
    {"sendto", SYS_sendto},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"setpriority", SYS_setpriority},
    {"setsockopt", SYS_setsockopt},
    {"setxattr", SYS_setxattr},
    {"shmget", SYS_shmget},
    {"shutdown", SYS_shutdown},
    {"socket", SYS_socket},
    {"socketpair", SYS_socketpair},
    {"splice", SYS_splice},
    {"tkill", SYS_tkill},
    {"truncate", SYS_truncate},
    {"unshare", SYS_unshare},
    {"userfaultfd", SYS_userfaultfd},
    {"utimensat", SYS_utimensat},
    {"write", SYS_write},
};

static long number_of(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(calls[i].name, name) == 0) return calls[i].number;
  return (long)luaL_checkinteger(L, 1);
}

/* call(name or number, ...) -> result | nil, name of the error. Strings are passed by address. */
static int l_call(lua_State *L) {
  long number = number_of(L), args[MOST] = {0};
  for (int i = 0; i < MOST && i + 2 <= lua_gettop(L); i++) {
    bool is_text = lua_type(L, i + 2) == LUA_TSTRING;
    args[i] = is_text ? (long)lua_tostring(L, i + 2) : (long)luaL_checkinteger(L, i + 2);
  }
  long rc = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
  if (rc == -1) {
    lua_pushnil(L);
    lua_pushstring(L, strerrorname_np(errno));
    return 2;
  }
  lua_pushinteger(L, (lua_Integer)rc);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_system_call(lua_State *L);

int luaopen_system_call(lua_State *L) {
  lua_pushcfunction(L, l_call);
  return 1;
}
