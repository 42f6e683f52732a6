/* Listening sockets. */
#include "bindings/net/net.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/report.h"
#include "core/task.h"
#include "core/wait.h"
#include "net/listen.h"

#include <errno.h>

#define LISTENER "moonloop.listener"
#define REST 0.1 /* seconds before it is tried again whether descriptors are free */

typedef struct Listener {
  Watch *watch;
  bool was_full; /* no descriptor was free: it has been said */
} Listener;

static Listener *check(lua_State *L) { return check_self(L, LISTENER); }

/* --- accept --- */

static int accept_now(lua_State *L, Task *t, Listener *listener);

static void accept_cancel(Task *t, void *op) { watch_end(((Listener *)op)->watch, t, false); }

static int accept_finish(lua_State *L, Task *t, void *op) { return accept_now(L, t, op); }

static const WaitType accept_wait = {
    .name = "a connection to accept", .cancel = accept_cancel, .finish = accept_finish};

static bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Nothing can be accepted: who waits is left waiting for a moment, as are those who connect. */
static void rest(lua_State *L, Listener *listener, int error) {
  if (!listener->was_full) {
    char text[160];
    snprintf(text, sizeof text,
             "moonloop: a connection cannot be accepted: %s; it waits until that is over\n",
             uv_strerror(uv_translate_sys_error(error)));
    report_print(runtime_of(L), text);
  }
  listener->was_full = true;
  watch_rest(listener->watch, REST);
}

static int suspend(lua_State *L, Listener *listener) {
  Task *t = ml_wait_enter(L, "server:accept");
  watch_begin(listener->watch, t, false);
  return ml_wait_suspend(L, t, &accept_wait, listener);
}

static int accept_now(lua_State *L, Task *t, Listener *listener) {
  (void)t;
  for (;;) {
    if (listener->watch->fd < 0)
      return ml_error_return(L, "closed", NULL, "server:accept: the server has stopped");
    NetAddress peer = {0};
    socklen_t size = sizeof peer - 1;
    int fd = accept4(listener->watch->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && is_shortage(errno)) rest(L, listener, errno);
    if (fd < 0 && (errno == EAGAIN || is_shortage(errno))) return suspend(L, listener);
    if (fd < 0) continue; /* that connection is over already */
    listener->was_full = false;
    if (net_push_connection(L, fd, &peer, size) == 0) return wait_spared(L, 1, 8);
  }
}

/* accept() -> connection | nil, err: the next one. Suspends. The error has the kind "closed". */
static int l_accept(lua_State *L) {
  Listener *listener = check(L);
  lua_settop(L, 1);
  return accept_now(L, NULL, listener);
}

/* --- the rest --- */

/* address() -> host, port | "unix:PATH"; nothing when it is closed */
static int l_address(lua_State *L) {
  const Listener *listener = check(L);
  NetAddress address = {0};
  socklen_t size = sizeof address - 1;
  if (listener->watch->fd < 0 || getsockname(listener->watch->fd, &address.any, &size)) return 0;
  return net_push_address(L, &address);
}

static int l_close(lua_State *L) {
  watch_close(check(L)->watch);
  return 0;
}

static int l_gc(lua_State *L) {
  Listener *listener = lua_touserdata(L, 1);
  if (listener->watch) watch_release(listener->watch);
  listener->watch = NULL;
  return 0;
}

/* A socket that listens, or a libuv error. */
static int open_socket(uv_loop_t *loop, const char *host, uint16_t port) {
  ListenAddress address;
  ListenSocket socket;
  if (!listen_address_tcp(host, port, &address)) return UV_ENAMETOOLONG;
  int error = listen_bind(loop, &address, &socket);
  if (error) return error;
  error = listen_start(&socket, 0);
  if (!error) return socket.fd;
  listen_close(&socket);
  return error;
}

/* listen(host, port) -> listener | nil, err */
int net_listen(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"accept", l_accept}, {"address", l_address}, {"close", l_close}, {NULL, NULL}};
  const char *host = luaL_checkstring(L, 1);
  lua_Integer port = luaL_checkinteger(L, 2);
  Watches *all = net_watches(L);
  Listener *listener = lua_newuserdatauv(L, sizeof *listener, 0);
  *listener = (Listener){0};
  class_set(L, LISTENER, methods, l_gc, l_close);
  int fd = open_socket(&all->rt->loop, host, (uint16_t)port);
  int error = fd < 0 ? fd : watch_open(all, fd, &listener->watch);
  if (error)
    return ml_error_return(L, "network", uv_err_name(error), "listening on %s:%d: %s", host,
                           (int)port, uv_strerror(error));
  return 1;
}
