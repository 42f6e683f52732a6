/* moonloop.net.core: sockets. What the options of ml.net mean is decided in scripts/moonloop/net.
 */
#include "bindings/net/net.h"

#include "bindings/net/open.h"
#include "bindings/stream/stream_object.h"
#include "net/own_host.h"
#include "stream/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION "moonloop.connection"

static const char watches_key; /* in the registry: what the sockets share */

int net_push_address(lua_State *L, const NetAddress *address) {
  char host[INET6_ADDRSTRLEN] = "";
  switch (address->any.sa_family) {
  case AF_INET:
    inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
    lua_pushstring(L, host);
    lua_pushinteger(L, ntohs(address->v4.sin_port));
    return 2;
  case AF_INET6:
    inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
    lua_pushstring(L, host);
    lua_pushinteger(L, ntohs(address->v6.sin6_port));
    return 2;
  case AF_UNIX:
    lua_pushfstring(L, "unix:%s", address->local.sun_path);
    return 1;
  default:
    return 0;
  }
}

bool net_read_address(const char *host, int port, NetAddress *address) {
  memset(address, 0, sizeof *address);
  return !uv_ip4_addr(host, port, &address->v4) || !uv_ip6_addr(host, port, &address->v6);
}

socklen_t net_address_size(const NetAddress *address) {
  return address->any.sa_family == AF_INET6  ? sizeof address->v6
         : address->any.sa_family == AF_INET ? sizeof address->v4
                                             : sizeof address->local;
}

Watches *net_watches(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watches_key);
  Watches *all = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (all) return all;
  /* The runtime's close hooks have run before the state is closed. */
  all = lua_newuserdatauv(L, sizeof *all, 0);
  *all = (Watches){0};
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watches_key);
  watch_keep(all, runtime_of(L));
  return all;
}

/* --- connections --- */

StreamSocket *net_check_connection(lua_State *L) {
  StreamSocket *socket = stream_socket_of(stream_object_check(L));
  if (!socket) luaL_argerror(L, 1, "not a connection");
  return socket;
}

/* peer() -> host, port | "unix:PATH": the other end's address; known after the end, too */
static int l_peer(lua_State *L) {
  NetAddress address = {0};
  const StreamSocket *socket = net_check_connection(L);
  memcpy(&address, &socket->peer, sizeof address);
  return net_push_address(L, &address);
}

/* address() -> host, port | "unix:PATH" | nil, err: ours */
static int l_address(lua_State *L) {
  const StreamSocket *socket = net_check_connection(L);
  NetAddress address = {0};
  socklen_t size = sizeof address - 1;
  if (socket->stream.is_closed)
    return stream_object_failed(L, &socket->stream, "the address of", UV_ECANCELED);
  if (getsockname(socket->bytes.fd, &address.any, &size))
    return stream_object_failed(L, &socket->stream, "the address of",
                                uv_translate_sys_error(errno));
  return net_push_address(L, &address);
}

static StreamObject *push_object(lua_State *L) {
  static const luaL_Reg methods[] = {{"peer", l_peer},
                                     {"address", l_address},
                                     {"tls", net_tls},
                                     {"starttls", net_starttls},
                                     {NULL, NULL}};
  return stream_object_push(L, CONNECTION, methods);
}

/* connect_in_memory(server.memory) -> connection, the number of its pipe | nil: to a server of this
   process without a socket */
static int l_connect_in_memory(lua_State *L) {
  MemoryPort *port = lua_touserdata(L, 1);
  Streams *all = stream_object_shared(L);
  StreamObject *object = push_object(L);
  MemoryEnd *end = port->connect(port);
  if (!end) return 0;
  lua_Integer number = (lua_Integer)end->number;
  if (stream_socket_open_memory(all, end, &object->stream)) return 0;
  lua_pushinteger(L, number);
  return 2;
}

int net_push_connection(lua_State *L, int fd, const NetAddress *peer, socklen_t peer_size) {
  Streams *all = stream_object_shared(L);
  StreamObject *object = push_object(L);
  int error = stream_socket_open(all, fd, peer ? &peer->any : NULL, peer_size, &object->stream);
  if (error) lua_pop(L, 1);
  return error;
}

int net_push_accepted(lua_State *L, int fd, const NetAddress *peer, socklen_t peer_size,
                      TlsContext *context) {
  int error = net_push_connection(L, fd, peer, peer_size);
  if (error) return error;
  StreamSocket *socket = stream_socket_of(stream_object_test(L, -1));
  socket->is_server = true;
  if (context) error = stream_socket_secure(socket, context, NULL);
  if (!error) return 0;
  stream_close(&socket->stream);
  lua_pop(L, 1);
  return error;
}

/* --- how many there are --- */

void net_gate_drop(NetGate *gate) {
  if (--gate->refs == 0) free(gate);
}

static void left(void *data) {
  NetGate *gate = data;
  gate->open--;
  if (gate->watch) watch_pause(gate->watch, false);
  net_gate_drop(gate);
}

void net_gate_entered(lua_State *L, NetGate *gate) {
  StreamSocket *socket = stream_socket_of(stream_object_test(L, -1));
  gate->refs++;
  gate->open++;
  socket->on_close = left;
  socket->on_close_data = gate;
}

/* is_own_host(host | nil [, names]) -> boolean: has nobody been led here who asks with this header
   Host, since it is an address, localhost, or below that? With the list `names`, for servers that
   other machines ask, it may be one of these as well, or the name of this machine. */
static int l_is_own_host(lua_State *L) {
  size_t n = 0;
  const char *host = luaL_optlstring(L, 1, "", &n);
  bool is_own = own_host_is(host, n);
  if (!is_own && lua_istable(L, 2)) {
    is_own = own_host_is_named(host, n, "");
    for (lua_Integer i = 1; !is_own && i <= luaL_len(L, 2); i++) {
      lua_geti(L, 2, i);
      is_own = own_host_is_named(host, n, luaL_checkstring(L, -1));
      lua_pop(L, 1);
    }
  }
  lua_pushboolean(L, is_own);
  return 1;
}

int luaopen_moonloop_net_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"connect", net_connect},       {"resolve", net_resolve},
      {"listen", net_listen},         {"udp", net_udp},
      {"check_tls", net_check_tls},   {"connect_in_memory", l_connect_in_memory},
      {"is_own_host", l_is_own_host}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
