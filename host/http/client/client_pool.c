#include "http/client/client_pool.h"

#include "http/client/client_connection.h"
#include "http/client/client_exchange.h"
#include <stdlib.h>
#include <string.h>

#define CLOSED "the client is closed"

/* --- shared connections --- */

void client_pool_share(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  c->under = o->shared;
  c->on_top = &o->shared;
  if (c->under) c->under->on_top = &c->under;
  o->shared = c;
}

void client_pool_unshare(ClientConnection *c) {
  *c->on_top = c->under;
  if (c->under) c->under->on_top = c->on_top;
}

/* A shared connection with room for `x`, or NULL. */
static ClientConnection *find_shared(const ClientOrigin *o, const ClientExchange *x) {
  ClientConnection *c = o->shared;
  while (c && !client_connection_has_room(c, x)) c = c->under;
  return c;
}

/* --- idle connections --- */

static void on_expiry(uv_timer_t *timer) {
  ClientPool *pool = timer->data;
  uint64_t now = uv_now(timer->loop);
  while (pool->oldest && pool->oldest->idle_since + pool->idle_ms <= now)
    client_connection_close(pool->oldest);
  if (pool->oldest)
    uv_timer_start(timer, on_expiry, pool->oldest->idle_since + pool->idle_ms - now, 0);
}

void client_pool_add_idle(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  ClientPool *pool = o->pool;
  c->idle = true;
  c->idle_since = uv_now(pool->expiry.loop);
  c->newer = NULL;
  c->older = pool->newest;
  *(c->older ? &c->older->newer : &pool->oldest) = c;
  pool->newest = c;
  c->under = o->idle;
  c->on_top = &o->idle;
  if (c->under) c->under->on_top = &c->under;
  o->idle = c;
  /* It does not keep the loop alive. */
  if (!uv_is_active((uv_handle_t *)&pool->expiry))
    uv_timer_start(&pool->expiry, on_expiry, pool->idle_ms, 0);
}

void client_pool_remove_idle(ClientConnection *c) {
  ClientPool *pool = c->origin->pool;
  c->idle = false;
  *(c->newer ? &c->newer->older : &pool->newest) = c->older;
  *(c->older ? &c->older->newer : &pool->oldest) = c->newer;
  *c->on_top = c->under;
  if (c->under) c->under->on_top = c->on_top;
}

void client_pool_closed(ClientOrigin *o) {
  o->connections--;
  o->pool->connections--;
  client_pool_drop_origin(o);
}

/* The idle connection that was used last. It may be about to end: if the request cannot be sent
   twice, the system is asked first. So it is if a body may have come that there should not be,
   which would be taken for the next response; and of a proxy, whose connections serve servers that
   are not to answer for each other. */
static ClientConnection *take_idle(ClientOrigin *o, const ClientExchange *x) {
  bool ask =
      !x->idempotent || x->request.framing != CLIENT_BODY_WHOLE || client_pool_is_forwarding(o);
  o->connections++; /* keeps the origin */
  ClientConnection *c;
  while ((c = o->idle) && (ask || c->may_follow) && !client_connection_is_quiet(c))
    client_connection_close(c);
  o->connections--;
  if (c) client_pool_remove_idle(c);
  return c;
}

/* --- the line --- */

static void enter_line(ClientOrigin *o, ClientExchange *x) {
  ClientPool *pool = o->pool;
  x->line = o;
  x->turn = pool->turns++;
  x->next = NULL;
  x->prev = o->last;
  *(o->last ? &o->last->next : &o->first) = x;
  o->last = x;
  if (o->line) return;
  o->line = &pool->lines;
  o->next_line = pool->lines;
  if (o->next_line) o->next_line->line = &o->next_line;
  pool->lines = o;
}

static ClientOrigin *leave_line(ClientExchange *x) {
  ClientOrigin *o = x->line;
  *(x->prev ? &x->prev->next : &o->first) = x->next;
  *(x->next ? &x->next->prev : &o->last) = x->prev;
  x->line = NULL;
  if (o->first) return o;
  *o->line = o->next_line;
  if (o->next_line) o->next_line->line = o->line;
  o->line = NULL;
  return o;
}

void client_pool_leave(ClientExchange *x) { client_pool_drop_origin(leave_line(x)); }

bool client_pool_hand_over(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  if (o->dialing != c || !o->first) return false;
  ClientExchange *x = o->first;
  leave_line(x);
  c->exchange->connection = NULL;
  c->exchange = x;
  x->connection = c;
  return true;
}

ClientExchange *client_pool_take_waiting(const ClientConnection *c) {
  ClientOrigin *o = c->origin;
  ClientExchange *list = NULL, *x;
  if (o->dialing != c || o->connections > 1) return NULL;
  while ((x = o->last)) {
    leave_line(x);
    x->next = list;
    list = x;
  }
  return list;
}

/* Can `x` get a connection to `o` now? */
static bool has_room(const ClientOrigin *o, const ClientExchange *x) {
  const ClientPool *pool = o->pool;
  if (o->idle || (o->shared && find_shared(o, x))) return true;
  return !o->dialing && o->connections < pool->max_per_origin &&
         (pool->connections < pool->max_connections || pool->oldest);
}

static void make_connection(ClientOrigin *o, ClientExchange *x) {
  ClientPool *pool = o->pool;
  o->connections++;
  if (pool->connections >= pool->max_connections) client_connection_close(pool->oldest);
  pool->connections++;
  if (client_connection_new(o, x)) return;
  client_pool_closed(o);
  client_exchange_fail_memory(x);
}

/* Gives `x` a connection; one must be available. */
static void connect_exchange(ClientOrigin *o, ClientExchange *x) {
  ClientConnection *c = o->shared ? find_shared(o, x) : NULL;
  if (!c) c = take_idle(o, x);
  if (c)
    client_connection_begin(c, x);
  else
    make_connection(o, x);
}

void client_pool_replace(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  ClientExchange *x = c->exchange;
  o->connections++; /* keeps the origin */
  client_connection_close(c);
  o->connections--;
  make_connection(o, x);
}

void client_pool_serve(ClientPool *pool) {
  if (pool->serving || pool->closed) return;
  pool->serving = true;
  for (;;) {
    ClientOrigin *next = NULL;
    for (ClientOrigin *o = pool->lines; o; o = o->next_line)
      if ((!next || o->first->turn < next->first->turn) && has_room(o, o->first)) next = o;
    if (!next) break;
    ClientExchange *x = next->first;
    leave_line(x);
    connect_exchange(next, x);
  }
  pool->serving = false;
}

void client_pool_submit(ClientPool *pool, ClientExchange *x) {
  if (pool->retired) {
    client_exchange_fail(x, "closed", NULL, CLOSED);
    return;
  }
  client_pool_place(pool, x);
}

void client_pool_place(ClientPool *pool, ClientExchange *x) {
  ClientOrigin *o = client_pool_origin(pool, x);
  if (!o) return;
  if (pool->lines || !has_room(o, x)) {
    enter_line(o, x);
    client_pool_serve(pool);
  } else {
    connect_exchange(o, x);
  }
}

/* --- life --- */

static void drop_pool(ClientPool *pool) {
  if (!pool->freed || !pool->expiry_closed) return;
  client_tls_free(&pool->tls);
  free(pool);
}

static void on_expiry_closed(uv_handle_t *handle) {
  ClientPool *pool = handle->data;
  pool->expiry_closed = true;
  drop_pool(pool);
}

void client_pool_abort(ClientPool *pool) {
  if (pool->closed) return;
  pool->retired = pool->closed = true;
  while (pool->lines) client_exchange_fail(pool->lines->first, "closed", NULL, CLOSED);
  while (pool->all) client_connection_fail(pool->all, "closed", NULL, CLOSED);
  uv_close((uv_handle_t *)&pool->expiry, on_expiry_closed);
  *pool->link = pool->next;
  if (pool->next) pool->next->link = pool->link;
}

ClientPool *client_pool_new(ClientPools *client, unsigned max_connections, unsigned max_per_origin,
                            double idle) {
  ClientPool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->client = client;
  pool->max_connections = max_connections;
  pool->max_per_origin = max_per_origin;
  pool->idle_ms = idle < 1e9 ? (uint64_t)(idle * 1000) : (uint64_t)1e12;
  uv_timer_init(&client->rt->loop, &pool->expiry);
  uv_unref((uv_handle_t *)&pool->expiry);
  pool->expiry.data = pool;
  pool->link = &client->pools;
  pool->next = client->pools;
  if (pool->next) pool->next->link = &pool->next;
  client->pools = pool;
  return pool;
}

void client_pool_retire(ClientPool *pool) {
  pool->retired = true;
  pool->idle_ms = 0;
  while (pool->oldest) client_connection_close(pool->oldest);
}

void client_pool_free(ClientPool *pool) {
  client_pool_abort(pool);
  pool->freed = true;
  drop_pool(pool);
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  ClientPools *client = container_of(hook, ClientPools, close_hook);
  while (client->pools) client_pool_abort(client->pools);
  runtime_not_at_pass_end(rt, &client->pass);
  client_poll_close(&client->poll);
  socket_set_remove(rt, &client->sockets);
}

static void each_socket(SocketSet *set, void (*visit)(void *data, int fd, bool waits), void *data) {
  const ClientPools *client = container_of(set, ClientPools, sockets);
  for (const ClientPool *pool = client->pools; pool; pool = pool->next)
    for (const ClientConnection *c = pool->all; c; c = c->next)
      if (c->fd >= 0) visit(data, c->fd, c->busy);
}

ClientPools *client_pools_new(Runtime *rt) {
  ClientPools *client = calloc(1, sizeof *client);
  if (!client) return NULL;
  client->rt = rt;
  client->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &client->close_hook);
  client->sockets.handle = (uv_handle_t *)&client->poll.handle;
  client->sockets.each = each_socket;
  socket_set_add(rt, &client->sockets);
  return client;
}

void client_pools_free(ClientPools *client) {
  while (client->free_exchanges) {
    ClientExchange *x = client->free_exchanges;
    client->free_exchanges = x->next;
    client_exchange_free(x);
  }
  if (client->delivering) client_exchange_free(client->delivering);
  buffer_free(&client->fields);
  buffer_free(&client->frames);
  buffer_free(&client->piece);
  buffer_free(&client->head);
  free(client->plain_buffer);
  free(client->read_buffer);
  free(client);
}
