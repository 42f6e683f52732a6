#include "http_plain_pool.h"

#include "http_plain_connection.h"
#include "http_plain_exchange.h"
#include <stdlib.h>
#include <string.h>

#define CLOSED "the client is closed"

/* --- origins --- */

/* What tells origins apart: the host in lower case, the port, the path of the socket. */
typedef struct Key {
  char text[HTTP_URL_MAX_HOST + 8 + 256];
  size_t len, host_len;
  uint32_t hash;
} Key;

/* False when the path of the socket is too long for any. */
static bool key_make(Key *key, const PlainRequest *r) {
  char *out = key->text;
  uint32_t hash = 2166136261u;
  key->host_len = r->url.host_len;
  for (size_t i = 0; i < r->url.host_len; i++) {
    char c = r->url.host[i];
    *out++ = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    hash = (hash ^ (uint8_t)out[-1]) * 16777619u;
  }
  *out++ = 0;
  memcpy(out, &r->url.port, sizeof r->url.port);
  out += sizeof r->url.port;
  *out++ = r->url.is_ipv6;
  if (r->unix_path) {
    size_t n = strlen(r->unix_path);
    if (n > 255) return false;
    memcpy(out, r->unix_path, n + 1);
    out += n + 1;
  }
  key->len = (size_t)(out - key->text);
  key->hash = hash ^ r->url.port;
  return true;
}

/* The lines that a request has unless it has others: in one piece, beginning with Host (RFC 9110
   section 7.2: a default port is left out, and so is the zone of an address). */
static bool make_fields(Buffer *b, const PlainRequest *r) {
  const char *host = r->url.host;
  size_t len = r->url.host_len;
  const char *zone = memchr(host, '%', len);
  if (zone) len = (size_t)(zone - host);
  bool ok = buffer_printf(b, r->url.is_ipv6 ? "Host: [%.*s]" : "Host: %.*s", (int)len, host);
  if (r->url.port != 80) ok = ok && buffer_printf(b, ":%u", r->url.port);
  return ok && buffer_add(b, "\r\n", 2);
}

#define OTHER_FIELDS PLAIN_USER_AGENT PLAIN_ACCEPT PLAIN_ACCEPT_ENCODING

static PlainOrigin *origin_new(PlainPool *pool, const Key *key, const PlainRequest *r) {
  Buffer fields = {0};
  size_t path = r->unix_path ? strlen(r->unix_path) + 1 : 0;
  PlainOrigin *o = NULL;
  if (make_fields(&fields, r) && buffer_add(&fields, OTHER_FIELDS, sizeof OTHER_FIELDS - 1) &&
      (o = malloc(sizeof *o + key->len + key->host_len + 1 + path + fields.len))) {
    *o = (PlainOrigin){.pool = pool,
                       .hash = key->hash,
                       .key_len = key->len,
                       .host_key = key->host_len,
                       .is_ipv6 = r->url.is_ipv6};
    char *at = o->key;
    memcpy(at, key->text, key->len);
    char *host = at += key->len;
    memcpy(host, key->text, key->host_len);
    char *zone = memchr(host, '%', key->host_len);
    size_t host_len = key->host_len;
    if (zone && host + host_len - zone >= 3) { /* "%25" is '%' */
      memmove(zone + 1, zone + 3, (size_t)(host + host_len - zone - 3));
      host_len -= 2;
    }
    host[host_len] = 0;
    at += key->host_len + 1;
    o->endpoint = (HttpEndpoint){.host = host, .port = r->url.port};
    if (path) o->endpoint.unix_path = memcpy(at, r->unix_path, path);
    at += path;
    o->fields = memcpy(at, fields.data, fields.len);
    o->fields_len = fields.len;
    o->host_len = fields.len - (sizeof OTHER_FIELDS - 1);
    o->next = pool->buckets[key->hash % PLAIN_BUCKETS];
    pool->buckets[key->hash % PLAIN_BUCKETS] = o;
  }
  buffer_free(&fields);
  return o;
}

static PlainOrigin *find_origin(PlainPool *pool, const Key *key) {
  PlainOrigin *o = pool->buckets[key->hash % PLAIN_BUCKETS];
  while (o &&
         (o->hash != key->hash || o->key_len != key->len || memcmp(o->key, key->text, key->len)))
    o = o->next;
  return o;
}

/* Is the request for this origin? False for some that are. */
static bool is_plainly_for(const PlainOrigin *o, const PlainRequest *r) {
  return o && !r->unix_path && !o->endpoint.unix_path && !r->url.is_ipv6 &&
         o->endpoint.port == r->url.port && o->host_key == r->url.host_len &&
         !memcmp(o->key, r->url.host, r->url.host_len) && !o->is_ipv6;
}

/* The origin that the request is for, made if there is none. NULL: it has failed. */
static PlainOrigin *origin_of(PlainPool *pool, PlainExchange *x) {
  Key key;
  if (is_plainly_for(pool->latest, &x->request)) return pool->latest;
  if (!key_make(&key, &x->request)) {
    plain_exchange_fail_with(x, UV_ENAMETOOLONG);
    return NULL;
  }
  PlainOrigin *o = find_origin(pool, &key);
  if (!o) o = origin_new(pool, &key, &x->request);
  if (!o) plain_exchange_fail_memory(x);
  pool->latest = o;
  return o;
}

/* Frees the origin when nothing is left of it. */
static void origin_drop(PlainOrigin *o) {
  if (o->connections || o->first) return;
  PlainOrigin **link = &o->pool->buckets[o->hash % PLAIN_BUCKETS];
  while (*link != o) link = &(*link)->next;
  *link = o->next;
  if (o->pool->latest == o) o->pool->latest = NULL;
  buffer_free(&o->rest);
  free(o);
}

/* --- idle connections --- */

static void on_expiry(uv_timer_t *timer) {
  PlainPool *pool = timer->data;
  uint64_t now = uv_now(timer->loop);
  while (pool->oldest && pool->oldest->idle_since + pool->idle_ms <= now)
    plain_connection_close(pool->oldest);
  if (pool->oldest)
    uv_timer_start(timer, on_expiry, pool->oldest->idle_since + pool->idle_ms - now, 0);
}

void plain_pool_add_idle(PlainConnection *c) {
  PlainOrigin *o = c->origin;
  PlainPool *pool = o->pool;
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

void plain_pool_remove_idle(PlainConnection *c) {
  PlainPool *pool = c->origin->pool;
  c->idle = false;
  *(c->newer ? &c->newer->older : &pool->newest) = c->older;
  *(c->older ? &c->older->newer : &pool->oldest) = c->newer;
  *c->on_top = c->under;
  if (c->under) c->under->on_top = c->on_top;
}

void plain_pool_closed(PlainOrigin *o) {
  o->connections--;
  o->pool->connections--;
  origin_drop(o);
}

/* The idle connection that was used last. The end of one may be on its way: where a request cannot
   be sent twice, the system is asked first. */
static PlainConnection *take_idle(PlainOrigin *o, const PlainExchange *x) {
  bool ask = !x->idempotent || x->request.framing != PLAIN_BODY_WHOLE;
  o->connections++; /* keeps the origin */
  PlainConnection *c;
  while ((c = o->idle) && ask && !plain_connection_is_quiet(c)) plain_connection_close(c);
  o->connections--;
  if (c) plain_pool_remove_idle(c);
  return c;
}

/* --- the line --- */

static void enter_line(PlainOrigin *o, PlainExchange *x) {
  PlainPool *pool = o->pool;
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

static PlainOrigin *leave_line(PlainExchange *x) {
  PlainOrigin *o = x->line;
  *(x->prev ? &x->prev->next : &o->first) = x->next;
  *(x->next ? &x->next->prev : &o->last) = x->prev;
  x->line = NULL;
  if (o->first) return o;
  *o->line = o->next_line;
  if (o->next_line) o->next_line->line = o->line;
  o->line = NULL;
  return o;
}

void plain_pool_leave(PlainExchange *x) { origin_drop(leave_line(x)); }

/* Can somebody have a connection to `o` now? */
static bool has_room(const PlainOrigin *o) {
  const PlainPool *pool = o->pool;
  return o->idle || (o->connections < pool->max_per_origin &&
                     (pool->connections < pool->max_connections || pool->oldest));
}

static void make_connection(PlainOrigin *o, PlainExchange *x) {
  PlainPool *pool = o->pool;
  o->connections++;
  if (pool->connections >= pool->max_connections) plain_connection_close(pool->oldest);
  pool->connections++;
  if (plain_connection_new(o, x)) return;
  plain_pool_closed(o);
  plain_exchange_fail_memory(x);
}

/* Gives `x` a connection, of which there is one. */
static void connect_exchange(PlainOrigin *o, PlainExchange *x) {
  PlainConnection *c = take_idle(o, x);
  if (c)
    plain_connection_begin(c, x);
  else
    make_connection(o, x);
}

void plain_pool_replace(PlainConnection *c) {
  PlainOrigin *o = c->origin;
  PlainExchange *x = c->exchange;
  o->connections++; /* keeps the origin */
  plain_connection_close(c);
  o->connections--;
  make_connection(o, x);
}

void plain_pool_serve(PlainPool *pool) {
  if (pool->serving || pool->closed) return;
  pool->serving = true;
  for (;;) {
    PlainOrigin *next = NULL;
    for (PlainOrigin *o = pool->lines; o; o = o->next_line)
      if (has_room(o) && (!next || o->first->turn < next->first->turn)) next = o;
    if (!next) break;
    PlainExchange *x = next->first;
    leave_line(x);
    connect_exchange(next, x);
  }
  pool->serving = false;
}

void plain_pool_submit(PlainPool *pool, PlainExchange *x) {
  if (pool->retired) {
    plain_exchange_fail(x, "closed", NULL, CLOSED);
    return;
  }
  PlainOrigin *o = origin_of(pool, x);
  if (!o) return;
  if (pool->lines || !has_room(o)) {
    enter_line(o, x);
    plain_pool_serve(pool);
  } else {
    connect_exchange(o, x);
  }
}

/* --- life --- */

static void drop_pool(PlainPool *pool) {
  if (pool->freed && pool->expiry_closed) free(pool);
}

static void on_expiry_closed(uv_handle_t *handle) {
  PlainPool *pool = handle->data;
  pool->expiry_closed = true;
  drop_pool(pool);
}

static void pool_close(PlainPool *pool) {
  if (pool->closed) return;
  pool->retired = pool->closed = true;
  while (pool->lines) plain_exchange_fail(pool->lines->first, "closed", NULL, CLOSED);
  for (PlainConnection *c; (c = pool->all);) {
    PlainExchange *x = c->exchange;
    if (x)
      plain_exchange_fail(x, "closed", NULL, CLOSED);
    else
      plain_connection_close(c);
  }
  uv_close((uv_handle_t *)&pool->expiry, on_expiry_closed);
  *pool->link = pool->next;
  if (pool->next) pool->next->link = pool->link;
}

PlainPool *plain_pool_new(PlainClient *client, unsigned max_connections, unsigned max_per_origin,
                          double idle) {
  PlainPool *pool = calloc(1, sizeof *pool);
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

void plain_pool_retire(PlainPool *pool) {
  pool->retired = true;
  pool->idle_ms = 0;
  while (pool->oldest) plain_connection_close(pool->oldest);
}

void plain_pool_free(PlainPool *pool) {
  pool_close(pool);
  pool->freed = true;
  drop_pool(pool);
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  PlainClient *client = container_of(hook, PlainClient, close_hook);
  while (client->pools) pool_close(client->pools);
  plain_poll_close(&client->poll);
  SocketSet **link = &rt->socket_sets;
  while (*link != &client->sockets) link = &(*link)->next;
  *link = client->sockets.next;
}

static void each_socket(SocketSet *set, void (*visit)(void *data, int fd, bool waits), void *data) {
  const PlainClient *client = container_of(set, PlainClient, sockets);
  for (const PlainPool *pool = client->pools; pool; pool = pool->next)
    for (const PlainConnection *c = pool->all; c; c = c->next)
      if (c->fd >= 0) visit(data, c->fd, c->busy);
}

PlainClient *plain_client_new(Runtime *rt) {
  PlainClient *client = calloc(1, sizeof *client);
  if (!client) return NULL;
  client->rt = rt;
  client->close_hook.close = on_runtime_close;
  ml_runtime_on_close(rt, &client->close_hook);
  client->sockets.handle = (uv_handle_t *)&client->poll.handle;
  client->sockets.each = each_socket;
  client->sockets.next = rt->socket_sets;
  rt->socket_sets = &client->sockets;
  return client;
}

void plain_client_free(PlainClient *client) {
  while (client->free_exchanges) {
    PlainExchange *x = client->free_exchanges;
    client->free_exchanges = x->next;
    plain_exchange_free(x);
  }
  if (client->delivering) plain_exchange_free(client->delivering);
  buffer_free(&client->piece);
  buffer_free(&client->head);
  free(client->read_buffer);
  free(client);
}
