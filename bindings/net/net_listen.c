/* Listening sockets. */
#include "bindings/net/net.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/fields.h"
#include "bindings/tls_options.h"
#include "core/report.h"
#include "core/task.h"
#include "core/wait.h"
#include "net/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTENER "moonloop.listener"
#define REST 0.1 /* seconds before it is tried again whether descriptors are free */

typedef struct Listener {
  Watch *watch;
  NetGate *gate;
  TlsContext *tls;     /* or NULL: in clear */
  ListenSocket socket; /* its descriptor is the watch's from its opening on */
  bool was_full;       /* no descriptor was free: it has been said */
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
  if (!listener->was_full)
    report_sayf(runtime_of(L), LOG_WARN,
                "a connection cannot be accepted: %s; it waits until that is over",
                uv_strerror(uv_translate_sys_error(error)));
  listener->was_full = true;
  watch_rest(listener->watch, REST);
}

static int suspend(lua_State *L, Listener *listener) {
  Task *t = ml_wait_enter(L, "server:accept");
  watch_pause(listener->watch, listener->gate->open >= listener->gate->most);
  watch_begin(listener->watch, t, false);
  return ml_wait_suspend(L, t, &accept_wait, listener);
}

static int accept_now(lua_State *L, Task *t, Listener *listener) {
  (void)t;
  for (;;) {
    if (listener->watch->fd < 0)
      return ml_error_return(L, "closed", NULL, "server:accept: the server has stopped");
    if (listener->gate->open >= listener->gate->most) return suspend(L, listener);
    NetAddress peer = {0};
    socklen_t size = sizeof peer - 1;
    int fd = accept4(listener->watch->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && is_shortage(errno)) rest(L, listener, errno);
    if (fd < 0 && (errno == EAGAIN || is_shortage(errno))) return suspend(L, listener);
    if (fd < 0) continue; /* that connection is over already */
    listener->was_full = false;
    if (net_push_accepted(L, fd, &peer, size, listener->tls)) continue;
    net_gate_entered(L, listener->gate);
    return wait_spared(L, 1, 8);
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

static void close_listener(Listener *listener) {
  if (!listener->watch) return;
  listener->gate->watch = NULL;
  listener->socket.fd = watch_take(listener->watch);
  listen_close(&listener->socket);
}

/* close(): accepts no more, and removes the file of a Unix socket. Again: nothing. */
static int l_close(lua_State *L) {
  close_listener(check(L));
  return 0;
}

static int l_gc(lua_State *L) {
  Listener *listener = lua_touserdata(L, 1);
#ifdef ML_DEBUG
  if (listener->watch && listener->watch->fd >= 0)
    lua_warning(L, "a server of ml.net was not stopped before it was collected", 0);
#endif
  close_listener(listener);
  if (listener->watch) watch_release(listener->watch);
  listener->watch = NULL;
  if (listener->gate) net_gate_drop(listener->gate);
  listener->gate = NULL;
  tls_context_release(listener->tls);
  listener->tls = NULL;
  return 0;
}

/* The address in the table at 1. */
static void read_address(lua_State *L, ListenAddress *address) {
  const char *path = fields_text(L, 1, "path", NULL), *host = fields_text(L, 1, "host", "");
  *address = (ListenAddress){.kind = path ? LISTEN_UNIX : LISTEN_TCP,
                             .mode = (int)fields_number(L, 1, "mode", -1),
                             .port = (uint16_t)fields_number(L, 1, "port", 0),
                             .reuse_port = fields_flag(L, 1, "reuse_port", false)};
  snprintf(address->name, sizeof address->name, "%s", path ? path : host);
}

static int open_listener(lua_State *L, Listener *listener, const ListenAddress *address) {
  Watches *all = net_watches(L);
  ListenSocket *socket = &listener->socket;
  int error = listen_bind(&all->rt->loop, address, socket);
  if (!error) error = listen_start(socket, (int)fields_number(L, 1, "backlog", 0));
  if (!error) {
    error = watch_open(all, socket->fd, &listener->watch);
    if (error) socket->fd = -1;
  }
  if (error) listen_close(socket);
  listener->gate->watch = listener->watch;
  return error;
}

/* listen{host=, port=, path=, backlog=, reuse_port=, mode=, max_connections=, tls=} -> listener |
   nil, err. `host` is an address, or nil for all of both families. */
int net_listen(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"accept", l_accept}, {"address", l_address}, {"close", l_close}, {NULL, NULL}};
  ListenAddress address;
  luaL_checktype(L, 1, LUA_TTABLE);
  read_address(L, &address);
  Listener *listener = lua_newuserdatauv(L, sizeof *listener, 0);
  *listener = (Listener){.socket.fd = -1};
  class_set(L, LISTENER, methods, l_gc, l_close);
  NetGate *gate = listener->gate = calloc(1, sizeof *gate);
  if (!gate) return luaL_error(L, "not enough memory");
  gate->refs = 1;
  gate->most = (size_t)fields_number(L, 1, "max_connections", 1e15);
  if (lua_getfield(L, 1, "tls") == LUA_TTABLE) {
    listener->tls = tls_options_context(L, -1, true, NULL, false);
    if (!listener->tls) return 2;
  }
  lua_pop(L, 1);
  int error = open_listener(L, listener, &address);
  if (!error) return 1;
  char where[LISTEN_NAME_MAX + 32];
  listen_address_show(&address, where, sizeof where);
  return ml_error_return(L, "network", uv_err_name(error), "listening on %s: %s", where,
                         listen_strerror(error));
}
