/* Connecting, and looking names up. */
#include "bindings/net/net.h"

#include "bindings/fields.h"
#include "bindings/stream/stream_object.h"
#include "core/task.h"
#include "core/wait.h"
#include "net/dial.h"
#include "net/lookup.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* --- connect --- */

/* A userdata on the task's stack. */
typedef struct Connecting {
  Dial *dial;
  Waker waker;
  int result; /* a descriptor or a libuv error */
  DialEndpoint endpoint;
  NetAddress local;
} Connecting;

static bool is_of_names(int error) {
  return error <= UV_EAI_ADDRFAMILY && error > UV_EAI_ADDRFAMILY - 100;
}

/* "HOST:PORT", or "unix:PATH" */
static const char *push_place(lua_State *L, const DialEndpoint *endpoint) {
  if (endpoint->unix_path) return lua_pushfstring(L, "unix:%s", endpoint->unix_path);
  return lua_pushfstring(L, strchr(endpoint->host, ':') ? "[%s]:%d" : "%s:%d", endpoint->host,
                         (int)endpoint->port);
}

static int connect_failed(lua_State *L, const Connecting *c, int error) {
  const char *place = push_place(L, &c->endpoint);
  if (error == UV_ETIMEDOUT && c->endpoint.seconds < HUGE_VAL)
    return ml_error_return(L, "timeout", "ETIMEDOUT",
                           "connecting to %s: no answer for %g s (its timeout)", place,
                           c->endpoint.seconds);
  return ml_error_return(L, is_of_names(error) ? "dns" : "network", uv_err_name(error),
                         "connecting to %s: %s", place, uv_strerror(error));
}

/* The options at 2 that are the socket's. */
static void set_options(lua_State *L, int fd) {
  int off = 0, on = 1, seconds = (int)fields_number(L, 2, "keepalive", 0);
  if (!fields_flag(L, 2, "nodelay", true))
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
  if (!seconds) return;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static int connected(lua_State *L, const Connecting *c) {
  int fd = c->result;
  if (fd < 0) return connect_failed(L, c, fd);
  int error = net_push_connection(L, fd, NULL, 0);
  if (error) return connect_failed(L, c, error);
  set_options(L, fd); /* after the stream's own */
  if (c->endpoint.host && !c->endpoint.unix_path)
    stream_socket_of(stream_object_test(L, -1))->name = strdup(c->endpoint.host);
  return 1;
}

static void on_dialed(void *data, int result) {
  Connecting *c = data;
  c->dial = NULL;
  c->result = result;
  ml_wait_wake(c->waker);
}

static void connect_cancel(Task *t, void *op) {
  (void)t;
  dial_cancel(((Connecting *)op)->dial);
}

static int connect_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return connected(L, op);
}

static void connect_describe(const Task *t, const void *op, char *text, size_t size) {
  const Connecting *c = op;
  (void)t;
  if (c->endpoint.unix_path)
    snprintf(text, size, "a connection to unix:%s", c->endpoint.unix_path);
  else
    snprintf(text, size, "a connection to %s:%u", c->endpoint.host, c->endpoint.port);
}

static const WaitType connect_wait = {.name = "a connection",
                                      .cancel = connect_cancel,
                                      .finish = connect_finish,
                                      .describe = connect_describe};

/* connect(function, {host=, port=, path=, addresses=, timeout=, nodelay=, keepalive=, bind=}) ->
   connection | nil, err. Suspends. `function` is the name of the caller's; `bind` an address;
   `addresses` those to connect to, each with a line feed after it, or nil: the host is looked up.
 */
int net_connect(lua_State *L) {
  const char *function = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  Connecting *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (Connecting){.endpoint = {.host = fields_text(L, 2, "host", NULL),
                                 .port = (uint16_t)fields_number(L, 2, "port", 0),
                                 .unix_path = fields_text(L, 2, "path", NULL),
                                 .addresses = fields_text(L, 2, "addresses", NULL),
                                 .seconds = fields_number(L, 2, "timeout", DIAL_SECONDS)}};
  const char *bind = fields_text(L, 2, "bind", NULL);
  if (bind && net_read_address(bind, 0, &c->local)) c->endpoint.local = &c->local.any;
  Task *t = ml_wait_enter(L, function);
  c->waker = ml_wait_waker(t);
  c->result = dial_start(runtime_of(L), &c->endpoint, on_dialed, c, &c->dial);
  if (c->result != DIALING) return connected(L, c);
  return ml_wait_suspend(L, t, &connect_wait, c);
}

/* --- resolve --- */

typedef struct Resolving {
  Lookup *lookup;
  Waker waker;
  const char *name;
  int family; /* AF_UNSPEC: both */
  int status;
  unsigned n;
  NetAddress found[64];
} Resolving;

static void on_looked_up(void *data, int status, const struct addrinfo *found) {
  Resolving *r = data;
  r->lookup = NULL;
  r->status = status;
  for (const struct addrinfo *at = found; at && r->n < sizeof r->found / sizeof *r->found;
       at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    if (r->family == AF_UNSPEC || r->family == at->ai_family)
      memcpy(&r->found[r->n++], at->ai_addr, at->ai_addrlen);
  }
  ml_wait_wake(r->waker);
}

static int resolved(lua_State *L, const Resolving *r) {
  int error = r->status ? r->status : r->n ? 0 : UV_EAI_NODATA;
  if (error)
    return ml_error_return(L, "dns", uv_err_name(error), "looking up '%s': %s", r->name,
                           uv_strerror(error));
  lua_createtable(L, (int)r->n, 0);
  for (unsigned i = 0; i < r->n; i++) {
    int pushed = net_push_address(L, &r->found[i]);
    lua_pop(L, pushed - 1); /* the port */
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static void resolve_cancel(Task *t, void *op) {
  (void)t;
  lookup_cancel(((Resolving *)op)->lookup);
}

static int resolve_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return resolved(L, op);
}

static void resolve_describe(const Task *t, const void *op, char *text, size_t size) {
  (void)t;
  snprintf(text, size, "the addresses of %s", ((const Resolving *)op)->name);
}

static const WaitType resolve_wait = {.name = "the addresses of a name",
                                      .cancel = resolve_cancel,
                                      .finish = resolve_finish,
                                      .describe = resolve_describe};

/* resolve(function, name, family) -> list of addresses | nil, err. Suspends, unless the name is an
   address. `family`: 4, 6 or 0 for both. */
int net_resolve(lua_State *L) {
  const char *function = luaL_checkstring(L, 1);
  const char *name = luaL_checkstring(L, 2);
  lua_Integer family = luaL_optinteger(L, 3, 0);
  lua_settop(L, 3);
  Resolving *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (Resolving){.name = name,
                   .family = family == 4   ? AF_INET
                             : family == 6 ? AF_INET6
                                           : AF_UNSPEC};
  if (net_read_address(name, 0, &r->found[0])) {
    r->n = r->family == AF_UNSPEC || r->family == r->found[0].any.sa_family;
    return resolved(L, r);
  }
  Task *t = ml_wait_enter(L, function);
  r->waker = ml_wait_waker(t);
  int error = lookup_start(runtime_of(L), name, on_looked_up, r, &r->lookup);
  if (error) {
    r->status = error;
    return resolved(L, r);
  }
  return ml_wait_suspend(L, t, &resolve_wait, r);
}
