/* Sockets as Lua objects. */
#ifndef ML_NET_H
#define ML_NET_H

#include "net/watch.h"
#include "stream/stream_socket.h"

#include <lauxlib.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Any address of a socket. */
typedef union NetAddress {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un local;
} NetAddress;

/* Pushes host and port, or "unix:PATH". Returns how many values: none for an unknown one. */
int net_push_address(lua_State *L, const NetAddress *address);

/* Reads an address that needs no look-up. False: it is none. */
bool net_read_address(const char *host, int port, NetAddress *address);

/* Its size for the system. */
socklen_t net_address_size(const NetAddress *address);

/* The connection on which a method is called (index 1). */
StreamSocket *net_check_connection(lua_State *L);

/* Makes a connection of a descriptor, which it takes over, and pushes it; `peer` may be NULL. Or
   pushes nothing and returns a libuv error. */
int net_push_connection(lua_State *L, int fd, const NetAddress *peer, socklen_t peer_size);

/* The same for one that was accepted, which then speaks TLS if there is a context. */
int net_push_accepted(lua_State *L, int fd, const NetAddress *peer, socklen_t peer_size,
                      TlsContext *context);

/* How many connections a listening socket may have at a time. Counted: the socket's, and one for
   each connection. */
typedef struct NetGate {
  size_t refs, open, most;
  Watch *watch; /* the socket's; NULL: it is closed */
} NetGate;

/* The connection on the top of L, which is open, was let in by the gate. */
void net_gate_entered(lua_State *L, NetGate *gate);
void net_gate_drop(NetGate *gate);

/* What the sockets of this Lua state share. */
Watches *net_watches(lua_State *L);

/* The functions of the module. */
int net_connect(lua_State *L);
int net_resolve(lua_State *L);
int net_listen(lua_State *L);
int net_udp(lua_State *L);
int net_check_tls(lua_State *L);

/* Methods of connections. */
int net_tls(lua_State *L);
int net_starttls(lua_State *L);

#endif
