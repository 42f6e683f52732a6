/* Sockets of UDP. */
#include "bindings/net/net.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/fields.h"
#include "core/task.h"
#include "core/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define UDP "moonloop.udp"
#define LONGEST 65536 /* bytes: no datagram is longer */

/* A datagram on its way waits here, with its text on the task's stack. */
typedef struct UdpSend {
  struct Udp *udp;
  const char *bytes;
  size_t len;
  NetAddress to;
  socklen_t to_size; /* 0: it is connected */
} UdpSend;

typedef struct Udp {
  Watch *watch;
  bool both; /* a socket of IPv6 that takes IPv4, too */
} Udp;

static Udp *check(lua_State *L) { return check_self(L, UDP); }

static int fd_of(const Udp *udp) { return udp->watch->fd; }

static int failed(lua_State *L, const char *what, int error) {
  return ml_error_return(L, "network", uv_err_name(error), "%s: %s", what, uv_strerror(error));
}

static int failed_errno(lua_State *L, const char *what) {
  return failed(L, what, uv_translate_sys_error(errno));
}

static int closed(lua_State *L, const char *what) {
  return ml_error_return(L, "closed", NULL, "%s: the socket is closed", what);
}

/* --- addresses --- */

/* The address of IPv4 as a socket of both families has it: ::ffff:127.0.0.1. */
static void map(NetAddress *address) {
  struct sockaddr_in v4 = address->v4;
  memset(address, 0, sizeof *address);
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = v4.sin_port;
  unsigned char *bytes = address->v6.sin6_addr.s6_addr;
  bytes[10] = bytes[11] = 0xff;
  memcpy(bytes + 12, &v4.sin_addr, 4);
}

static void unmap(NetAddress *address) {
  if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) return;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = address->v6.sin6_port};
  memcpy(&v4.sin_addr, address->v6.sin6_addr.s6_addr + 12, 4);
  memset(address, 0, sizeof *address);
  address->v4 = v4;
}

/* The address at `index` and the port behind it. */
static void check_address(lua_State *L, const Udp *udp, int index, NetAddress *address) {
  const char *host = luaL_checkstring(L, index);
  lua_Integer port = luaL_checkinteger(L, index + 1);
  luaL_argcheck(L, net_read_address(host, (int)port, address), index, "no address");
  if (udp->both && address->any.sa_family == AF_INET) map(address);
}

/* --- receive --- */

static int receive_now(lua_State *L, Udp *udp);

static void receive_cancel(Task *t, void *op) { watch_end(((Udp *)op)->watch, t, false); }

static int receive_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return receive_now(L, op);
}

static const WaitType receive_wait = {
    .name = "a datagram", .cancel = receive_cancel, .finish = receive_finish};

static int receive_now(lua_State *L, Udp *udp) {
  char bytes[LONGEST];
  NetAddress from = {0};
  socklen_t from_size = sizeof from;
  ssize_t n, most = lua_tointeger(L, 2);
  if (fd_of(udp) < 0) return closed(L, "udp:receive");
  do n = recvfrom(fd_of(udp), bytes, (size_t)most, MSG_TRUNC, &from.any, &from_size);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) {
    Task *t = ml_wait_enter(L, "udp:receive");
    watch_begin(udp->watch, t, false);
    return ml_wait_suspend(L, t, &receive_wait, udp);
  }
  if (n < 0) return failed_errno(L, "receiving a datagram");
  bool is_cut = n > most; /* the length is that of the datagram */
  if (is_cut) n = most;
  lua_pushlstring(L, bytes, (size_t)n);
  unmap(&from);
  if (net_push_address(L, &from) != 2) lua_settop(L, lua_gettop(L) + 2);
  lua_pushboolean(L, is_cut);
  return wait_spared(L, 4, wait_cost((size_t)n));
}

/* receive([max]) -> data, host, port, truncated | nil, err: the next datagram, of which `max` bytes
   are kept; `truncated` says whether it had more. Suspends. */
static int l_receive(lua_State *L) {
  Udp *udp = check(L);
  lua_Integer most = check_opt_integer(L, 2, LONGEST);
  check_true(L, most > 0 && most <= LONGEST, 2, "the number of bytes has to be from 1 to 65536");
  lua_settop(L, 1);
  lua_pushinteger(L, most);
  return receive_now(L, udp);
}

/* --- send --- */

static int send_now(lua_State *L, UdpSend *s);

static void send_cancel(Task *t, void *op) { watch_end(((UdpSend *)op)->udp->watch, t, true); }

static int send_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return send_now(L, op);
}

static const WaitType send_wait = {
    .name = "room to send a datagram", .cancel = send_cancel, .finish = send_finish};

static int send_now(lua_State *L, UdpSend *s) {
  const struct sockaddr *to = s->to_size ? &s->to.any : NULL;
  /* An ICMP error that a datagram before has led to is told by the next call, which has nothing to
     do with it: that one is tried again. */
  for (int i = 0; i < 2; i++) {
    if (fd_of(s->udp) < 0) return closed(L, "udp:send");
    ssize_t n = sendto(fd_of(s->udp), s->bytes, s->len, MSG_NOSIGNAL, to, s->to_size);
    if (n >= 0) {
      lua_settop(L, 1);
      return wait_spared(L, 1, wait_cost(s->len));
    }
    if (errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH) break;
  }
  if (errno != EAGAIN) return failed_errno(L, "sending a datagram");
  UdpSend *kept = lua_newuserdatauv(L, sizeof *kept, 0);
  *kept = *s;
  Task *t = ml_wait_enter(L, "udp:send");
  watch_begin(s->udp->watch, t, true);
  return ml_wait_suspend(L, t, &send_wait, kept);
}

/* send(data [, address, port]) -> socket | nil, err. Suspends while the system has no room. */
static int l_send(lua_State *L) {
  UdpSend s = {.udp = check(L)};
  s.bytes = luaL_checklstring(L, 2, &s.len);
  if (!lua_isnoneornil(L, 3)) {
    check_address(L, s.udp, 3, &s.to);
    s.to_size = net_address_size(&s.to);
  }
  return send_now(L, &s);
}

/* --- the rest --- */

/* connect(address, port) -> socket | nil, err: sends to this peer alone, and receives from it alone
 */
static int l_connect(lua_State *L) {
  Udp *udp = check(L);
  NetAddress address;
  check_address(L, udp, 2, &address);
  if (fd_of(udp) < 0) return closed(L, "udp:connect");
  if (connect(fd_of(udp), &address.any, net_address_size(&address)))
    return failed_errno(L, "udp:connect");
  lua_settop(L, 1);
  return 1;
}

/* join(group) -> socket | nil, err: receives what is sent to a group */
static int l_join(lua_State *L) {
  Udp *udp = check(L);
  const char *group = check_string(L, 2);
  NetAddress address;
  check_true(L, net_read_address(group, 0, &address), 2, "the address of a group expected");
  if (fd_of(udp) < 0) return closed(L, "udp:join");
  int rc;
  if (address.any.sa_family == AF_INET) {
    struct ip_mreqn request = {.imr_multiaddr = address.v4.sin_addr};
    rc = setsockopt(fd_of(udp), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
  } else {
    struct ipv6_mreq request = {.ipv6mr_multiaddr = address.v6.sin6_addr};
    rc = setsockopt(fd_of(udp), IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request);
  }
  if (rc) {
    int error = uv_translate_sys_error(errno);
    return ml_error_return(L, "network", uv_err_name(error), "joining the group %s: %s", group,
                           uv_strerror(error));
  }
  lua_settop(L, 1);
  return 1;
}

/* address() -> host, port | nothing: it is closed */
static int l_address(lua_State *L) {
  const Udp *udp = check(L);
  NetAddress address = {0};
  socklen_t size = sizeof address;
  if (fd_of(udp) < 0 || getsockname(fd_of(udp), &address.any, &size)) return 0;
  unmap(&address);
  return net_push_address(L, &address);
}

/* close(): who waits gets an error of kind "closed". Again: nothing. */
static int l_close(lua_State *L) {
  watch_close(check(L)->watch);
  return 0;
}

static int l_gc(lua_State *L) {
  Udp *udp = lua_touserdata(L, 1);
  Watch *watch = udp->watch;
  if (!watch) return 0;
  udp->watch = NULL;
#ifdef ML_DEBUG
  if (watch->fd >= 0) lua_warning(L, "a socket of UDP was not closed before it was collected", 0);
#endif
  watch_release(watch);
  return 0;
}

static int open_socket(NetAddress *address, bool both, bool reuse) {
  int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1, only = !both;
  if (fd < 0) return uv_translate_sys_error(errno);
  if (address->any.sa_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (reuse) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  if (bind(fd, &address->any, net_address_size(address)) == 0) return fd;
  int error = uv_translate_sys_error(errno);
  close(fd);
  return error;
}

/* udp{host=, port=, reuse=} -> socket | nil, err. Without a host: all addresses of both families,
   or of IPv4 where there is no IPv6. */
int net_udp(lua_State *L) {
  static const luaL_Reg methods[] = {{"receive", l_receive},
                                     {"send", l_send},
                                     {"connect", l_connect},
                                     {"join", l_join},
                                     {"address", l_address},
                                     {"close", l_close},
                                     {NULL, NULL}};
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *host = fields_text(L, 1, "host", NULL);
  int port = (int)fields_number(L, 1, "port", 0);
  bool reuse = fields_flag(L, 1, "reuse", false);
  NetAddress address;
  luaL_argcheck(L, net_read_address(host ? host : "::", port, &address), 1, "no address");
  Watches *all = net_watches(L);
  Udp *udp = lua_newuserdatauv(L, sizeof *udp, 0);
  *udp = (Udp){.both = !host};
  class_set(L, UDP, methods, l_gc, l_close);
  int fd = open_socket(&address, udp->both, reuse);
  if (udp->both && (fd == UV_EAFNOSUPPORT || fd == UV_EADDRNOTAVAIL)) {
    udp->both = false;
    net_read_address("0.0.0.0", port, &address);
    fd = open_socket(&address, false, reuse);
  }
  int error = fd < 0 ? fd : watch_open(all, fd, &udp->watch);
  if (error)
    return ml_error_return(L, "network", uv_err_name(error), "opening a socket of UDP on %s:%d: %s",
                           host ? host : "*", port, uv_strerror(error));
  return 1;
}
