/* Part of client_connection.h: how a connection is made. */
#include "http/client/client_connection.h"

#include "http/client/client_exchange.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE CLIENT_READ_BUFFER

static ClientPools *client_of(const ClientConnection *c) { return c->origin->pool->client; }

/* Takes over the connected socket. Returns 0 or a libuv error. */
static int open_socket(ClientConnection *c, int fd) {
  ClientPools *client = client_of(c);
  int on = 1;
  if (!c->origin->endpoint.unix_path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!client->read_buffer) client->read_buffer = malloc(READ_SIZE);
  int error =
      client->read_buffer ? client_poll_add(&client->poll, &client->rt->loop, fd, c) : UV_ENOMEM;
  if (error) {
    close(fd);
    return error;
  }
  c->fd = fd;
  client_connection_set_busy(c, true);
  return 0;
}

/* Events of a pipe are those of a socket; its end is seen by reading. */
static void on_memory(MemoryEnd *end) {
  ClientConnection *c = end->user;
  client_poll_hand_out(&client_of(c)->poll, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

/* Connects to the pool's port. Returns 0 or a libuv error. */
static int open_in_memory(ClientConnection *c) {
  ClientPools *client = client_of(c);
  if (!client->read_buffer) client->read_buffer = malloc(READ_SIZE);
  if (!client->read_buffer) return UV_ENOMEM;
  MemoryPort *port = c->origin->pool->port;
  c->memory = port->connect(port);
  if (!c->memory) return UV_ECONNREFUSED;
  c->memory->ready = on_memory;
  c->memory->user = c;
  c->request = memory_end_request(c->memory->number, 0);
  return 0;
}

/* No connection to the proxy. */
static void fail_proxy(ClientConnection *c, int error) {
  const DialEndpoint *proxy = &c->origin->endpoint;
  if (error == UV_ENOMEM || error == UV_ENOBUFS || error == UV_EAI_MEMORY)
    client_connection_fail_with(c, UV_ENOMEM);
  else if (!strncmp(uv_err_name(error), "EAI_", 4))
    client_connection_fail(c, "dns", "UNKNOWN_PROXY", "could not resolve the proxy '%s': %s",
                           proxy->host, uv_strerror(error));
  else
    client_connection_fail(c, "network", uv_err_name(error), "the proxy %s, port %u: %s",
                           proxy->host, proxy->port, uv_strerror(error));
}

static void on_dialed(void *data, int result) {
  ClientConnection *c = data;
  c->dial = NULL;
  int error = result < 0 ? result : open_socket(c, result);
  if (error == UV_ETIMEDOUT) {
    client_connection_fail(c, "timeout", "TIMED_OUT", "not connected within %d s", DIAL_SECONDS);
  } else if (error && c->origin->by_proxy) {
    fail_proxy(c, error);
  } else if (error) {
    client_connection_fail_with(c, error);
  } else if (c->origin->by_proxy && c->origin->is_https) {
    client_connection_open_tunnel(c);
  } else if (c->origin->is_https) {
    client_connection_open_tls(c);
  } else {
    client_connection_start(c);
  }
}

bool client_connection_new(ClientOrigin *origin, ClientExchange *x) {
  ClientConnection *c = calloc(1, sizeof *c);
  if (!c) return false;
  ClientPool *pool = origin->pool;
  c->origin = origin;
  c->fd = -1;
  c->exchange = x;
  x->connection = c;
  c->link = &pool->all;
  c->next = pool->all;
  if (c->next) c->next->link = &c->next;
  pool->all = c;
  if (origin->protocol != CLIENT_HTTP_1) origin->dialing = c;
  if (pool->port) {
    int error = open_in_memory(c);
    if (error)
      client_exchange_fail_with(x, error);
    else
      client_connection_start(c);
    return true;
  }
  char error[TLS_ERROR_MAX];
  if (origin->is_https && !client_tls_context(&pool->tls, client_pool_tls_kind(origin), error)) {
    client_connection_fail(c, "tls", "OWN_CERTIFICATE", "%s", error);
    return true;
  }
  int result = dial_start(pool->client->rt, &origin->endpoint, on_dialed, c, &c->dial);
  if (result != DIALING) on_dialed(c, result);
  return true;
}
