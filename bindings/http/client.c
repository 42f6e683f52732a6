/* moonloop.http.core: HTTP/1.1 on llhttp, and HTTP/2 on nghttp2, over the loop
   (host/http/client/client_*.h).
   No policy here: redirects, retries, options and Response objects are in
   scripts/moonloop/http/init.lua.

   pool(opts) -> pool
     A pool of connections. opts, a table: `max_connections` at a time, in all (an integer);
     `max_per_origin` (an integer; nil: the same); `idle`, seconds after which a connection without
     a request is closed. A missing option means no limit. Further requests wait in line. When the
     pool is collected, its connections are closed. `server`: a server of moonloop.web.core without
     a socket, which all requests go to, whatever their host. `ca`, `cert`, `key`: for https, each
     the path of a PEM file or PEM text; `ca` instead of the system's authorities; `cert_host` and
     `cert_port`: who alone is shown `cert`, nil: everybody. `http2`: true: it is offered over TLS;
     "clear": the same, and spoken without TLS; false: neither.
   pool:close([abort])
     Takes no more requests: idle connections are closed at once, the others after their requests,
     or with `abort`, which makes these fail, at once as well.

   place(method, url) -> url, host, port | nil, err
     Where `request` would connect to: the URL in its normal form, without user and password; its
     host, of which the zone of an address is behind a "%"; its port.

   request(pool, method, url, lines, body, timeout, max_body, stream, unix_path, verify, addresses,
           proxy, proxy_port, proxy_credentials)
     -> status, body, head, url | nil, err
     Suspends until the whole response has arrived, or with `stream` its head.
       method     in capitals, a token
       url        http:// or https://..., absolute. Characters that are not allowed in a URL are
                  percent-encoded. A user and password become Basic credentials unless `lines` has
                  an Authorization header
       lines      "" or header lines, each "Name: value\r\n", checked by the caller, without
                  Content-Length and Transfer-Encoding. Host, User-Agent, Accept and
                  Accept-Encoding are added if they are missing
       body       a string or nil
       timeout    seconds for the whole request, may be infinite; 0 ends at once. With `stream`,
                  for everything up to the head, and then again for each read
       max_body   bytes of the decoded body, may be infinite: more is an error "http", "too_large"
       stream     true: `body` is a reader
       unix_path  of the socket to connect to, or nil; the Host header is still the URL's
       verify     false: the server may be anybody
       addresses  to connect to, each with a line feed after it, or nil: the host is looked up. A
                  kept connection is used for the same list of them alone
       proxy      the host of an HTTP proxy, or nil; its port; the value of its
                  Proxy-Authorization header, or nil
     Returns
       status     an integer from 200 on
       body       the decoded body, or the reader
       head       the header lines as text, names in lower case: `headers` makes a table
                  of it (client_fields.c)
       url        the requested URL in its normal form, without user and password
     Errors have the kinds "dns", "network", "tls", "timeout" and "http", and begin with method and
   URL. If a kept connection turns out to be closed before any byte of a response came, it is
   replaced once, for idempotent methods.

   in_network(network, address) -> boolean
     Is the address in the network, which may be an address? Both as text. False if they are not.

   public_only(address) -> boolean
     Can any host on the internet have this address? Not those of this machine and of private
     networks, and others that lead there: see http/client/public_address.h.

   is_public_suffix(domain) -> boolean | nil
     May anybody have a name below the domain, so that no cookie may be for it? nil: libpsl, which
     knows, is not there.

   begin(pool, method, url, lines, length, timeout, unix_path, verify, addresses, proxy,
         proxy_port, proxy_credentials) -> upload | nil, err
     Sends the head of a request whose body follows in pieces: `length` bytes, or chunked if that is
     nil. Suspends until there is a connection. `timeout` bounds each wait.
   upload:write(chunk) -> true | false | nil, err
     Suspends while more than 64 kB are unsent. false: the response has already come (with HTTP/2,
     all of it), the rest of the body is not wanted, and `response` returns it. More than `length`
     bytes raise.
   upload:response(max_body, stream) -> as `request`
     Ends the body and waits for the response. Fewer than `length` bytes raise, unless the response
     has already come. The upload is then over.
   upload:close()
     Ends the exchange if it is not over. Also __gc and __close.

   reader:read() -> chunk | nil | nil, err
     The next piece of the body, never empty, at most 64 kB; nil at its end. Suspends until there is
     one. One task at a time. The server is held back while more than 128 kB wait to be read;
     with HTTP/2, 1 MB if the reader has kept up before.
   reader:close()
     Ends the transfer if the body was not read to its end. Also __gc and __close.

   Cancelling a task in any of these ends its exchange and closes its connection; with HTTP/2, the
   server is told that its stream is cancelled, and the connection goes on. */
#include "bindings/http/client.h"
#include "bindings/class.h"
#include "bindings/http/open.h"
#include "core/wait.h"
#include "http/client/public_address.h"
#include "http/client/public_suffix.h"
#include "net/network.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#define POOL "moonloop.http.core.pool"

size_t client_check_size(lua_State *L, int index) {
  lua_Number n = luaL_checknumber(L, index);
  return n < 9e15 ? (size_t)n : SIZE_MAX;
}

/* --- the outcome of an exchange --- */

int client_push_error(lua_State *L, const ClientExchange *x) {
  const ClientRequest *r = &x->request;
  const char *shown = r->shown;
  if (!shown) {
    lua_pushlstring(L, r->base, r->base_len);
    lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), r->url.target);
    shown = lua_tostring(L, -1);
  }
  shown = client_push_shown(L, shown, strlen(shown));
  int n = ml_error_return(L, x->error_kind, x->error_code, "%s %s: %s", r->method, shown, x->error);
  return n + client_push_in_memory(L, x);
}

int client_push_in_memory(lua_State *L, const ClientExchange *x) {
  if (!x->in_memory) return 0;
  lua_pushinteger(L, (lua_Integer)x->in_memory);
  return 1;
}

bool client_is_decoded(lua_State *L, ClientExchange *x) {
  while (!client_exchange_decode(x))
    if (wait_may_give_way(L)) return false;
  return true;
}

void client_drop_undelivered(ClientPools *client) {
  ClientExchange *x = client->delivering;
  client->delivering = NULL;
  if (x) client_exchange_release(x);
}

int client_push_response(lua_State *L, ClientExchange *x, int url) {
  const ClientResponse *r = &x->response;
  ClientPools *client = x->client;
  int n = 4;
  client->delivering = x;
  if (x->error_kind) {
    n = client_push_error(L, x);
  } else {
    lua_pushinteger(L, r->status);
    lua_pushlstring(L, r->body.data ? r->body.data : "", r->body.len);
    lua_pushlstring(L, r->head.data ? r->head.data : "", r->head.len);
    lua_pushvalue(L, url);
    n += client_push_in_memory(L, x);
  }
  client_drop_undelivered(client); /* it is delivered */
  return n;
}

void client_describe(const ClientExchange *x, const char *what, char *text, size_t size) {
  const char *url = x->request.shown; /* without its path, which is private */
  if (!url) url = x->request.base;
  size_t n = url[4] == 's' ? strlen("https://") : strlen("http://");
  n += strcspn(url + n, "/?#");
  snprintf(text, size, "http %s %s %.*s", what, x->request.method, (int)n, url);
}

/* --- requests for a whole response --- */

void client_cancel(Task *task, void *op) {
  (void)task;
  client_exchange_release(op);
}

static const WaitType request_wait;

static int request_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  if (!client_is_decoded(L, op)) return wait_give_way(L, &request_wait, op);
  return client_push_response(L, op, 3);
}

void client_describe_request(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  client_describe(op, "request", text, size);
}

static const WaitType request_wait = {.name = "http request",
                                      .cancel = client_cancel,
                                      .finish = request_finish,
                                      .describe = client_describe_request};

ClientPool *client_check_pool(lua_State *L, int index) {
  ClientPool **pool = luaL_checkudata(L, index, POOL);
  return *pool;
}

ClientExchange *client_send(lua_State *L, ClientPool *pool, const ClientRequest *request,
                            size_t max_body, bool by_pieces) {
  client_drop_undelivered(pool->client);
  ClientExchange *x = client_exchange_start(pool, request, max_body, by_pieces);
  if (!x) luaL_error(L, "not enough memory");
  return x;
}

int client_start(lua_State *L, ClientPool *pool, int url, ClientRequest *request, double timeout,
                 size_t max_body, bool by_pieces, ClientExchange **x) {
  int failed = client_check_url(L, url, request);
  if (failed) return failed;
  if (timeout <= 0)
    return ml_error_return(L, "timeout", "TIMED_OUT", "%s %s: not finished within 0 s",
                           request->method,
                           client_push_shown(L, request->shown, strlen(request->shown)));
  *x = client_send(L, pool, request, max_body, by_pieces);
  return 0;
}

int client_start_arguments(lua_State *L, ClientRequest *request, int unix_path, double timeout,
                           size_t max_body, bool by_pieces, ClientExchange **x) {
  ClientPool *pool = client_check_pool(L, 1);
  request->method = luaL_checkstring(L, 2);
  request->lines = luaL_optlstring(L, 4, "", &request->lines_len);
  request->unix_path = luaL_optstring(L, unix_path, NULL);
  request->insecure = lua_isboolean(L, unix_path + 1) && !lua_toboolean(L, unix_path + 1);
  request->addresses = luaL_optstring(L, unix_path + 2, NULL);
  request->proxy.host = luaL_optstring(L, unix_path + 3, NULL);
  request->proxy.port = (uint16_t)luaL_optinteger(L, unix_path + 4, 0);
  request->proxy.credentials = luaL_optstring(L, unix_path + 5, NULL);
  return client_start(L, pool, 3, request, timeout, max_body, by_pieces, x);
}

static int l_request(lua_State *L) {
  size_t body_len = 0;
  lua_settop(L, 14);
  ClientRequest request = {.body = luaL_optlstring(L, 5, NULL, &body_len)};
  request.body_len = body_len;
  double timeout = luaL_checknumber(L, 6);
  size_t max_body = client_check_size(L, 7);
  if (lua_toboolean(L, 8)) return client_stream(L, &request, timeout, max_body);
  Task *task = ml_wait_enter(L, "ml.http");
  ClientExchange *x;
  int failed = client_start_arguments(L, &request, 9, timeout, max_body, false, &x);
  if (failed) return failed;
  if (client_exchange_has(x, CLIENT_WANTS_END)) return request_finish(L, task, x);
  if (client_exchange_wait(x, CLIENT_WANTS_END, ml_wait_waker(task), timeout))
    return ml_wait_suspend(L, task, &request_wait, x);
  client_exchange_release(x);
  return luaL_error(L, "not enough memory");
}

/* redacted(url) -> the URL as messages show it: without what lets somebody in */
static int l_redacted(lua_State *L) {
  size_t n;
  const char *url = luaL_checklstring(L, 1, &n);
  client_push_shown(L, url, n);
  return 1;
}

/* place(method, url) -> url, host, port | nil, err */
static int l_place(lua_State *L) {
  ClientRequest request = {.method = luaL_checkstring(L, 1)};
  int failed = client_check_url(L, 2, &request);
  if (failed) return failed;
  const HttpUrl *url = &request.url;
  lua_pushvalue(L, 2);
  lua_pushlstring(L, url->host, url->host_len);
  if (url->is_ipv6) {
    luaL_gsub(L, lua_tostring(L, -1), "%25", "%");
    lua_remove(L, -2);
  }
  lua_pushinteger(L, url->port);
  return 3;
}

/* in_network(network, address) -> boolean */
static int l_in_network(lua_State *L) {
  size_t n, m;
  const char *network_text = luaL_checklstring(L, 1, &n), *text = luaL_checklstring(L, 2, &m);
  Network network;
  NetworkAddress address;
  lua_pushboolean(L, network_read(network_text, n, &network) &&
                         network_read_address(text, m, &address) &&
                         network_has(&network, &address));
  return 1;
}

/* public_only(address) -> may anybody on the internet have it? */
static int l_public_only(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, public_address(text, n));
  return 1;
}

/* is_public_suffix(domain) -> boolean | nil */
static int l_is_public_suffix(lua_State *L) {
  PublicSuffix is = public_suffix(luaL_checkstring(L, 1));
  if (is == PUBLIC_SUFFIX_UNKNOWN) return 0;
  lua_pushboolean(L, is == PUBLIC_SUFFIX_YES);
  return 1;
}

/* --- pools --- */

static int l_pool_gc(lua_State *L) {
  ClientPool **pool = lua_touserdata(L, 1);
  if (*pool) client_pool_free(*pool);
  *pool = NULL;
  return 0;
}

/* pool:close([abort]): no more requests; idle connections are closed at once, the others after
   theirs, or with `abort` at once, too */
static int l_pool_close(lua_State *L) {
  ClientPool *pool = client_check_pool(L, 1);
  if (lua_toboolean(L, 2))
    client_pool_abort(pool);
  else
    client_pool_retire(pool);
  return 0;
}

static int l_client_gc(lua_State *L) {
  ClientPools **client = lua_touserdata(L, 1);
  if (*client) client_pools_free(*client);
  *client = NULL;
  return 0;
}

static unsigned check_count(lua_State *L, const char *name, lua_Number otherwise) {
  lua_getfield(L, 1, name);
  lua_Number n = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  if (!(n >= 1)) luaL_error(L, "%s: a number of at least 1 expected", name);
  return n < 1e9 ? (unsigned)n : 1000000000;
}

/* Upvalue 1 keeps the runtime's client. */
static int l_pool(lua_State *L) {
  ClientPools **client = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TTABLE);
  unsigned max = check_count(L, "max_connections", HUGE_VAL);
  unsigned per_origin = check_count(L, "max_per_origin", max);
  lua_getfield(L, 1, "idle");
  double idle = luaL_optnumber(L, -1, HUGE_VAL);
  if (!(idle >= 0)) return luaL_error(L, "idle: a number of seconds of at least 0 expected");
  if (!*client) *client = client_pools_new(runtime_of(L));
  MemoryPort *port = NULL;
  bool in_memory = lua_getfield(L, 1, "server") != LUA_TNIL;
  int server = lua_gettop(L);
  if (in_memory) {
    lua_getfield(L, server, "memory");
    port = lua_touserdata(L, -1);
  }
  ClientPool **pool = lua_newuserdatauv(L, sizeof *pool, 1);
  *pool = NULL;
  luaL_setmetatable(L, POOL);
  if (*client) *pool = client_pool_new(*client, max, per_origin, idle);
  if (!*pool) return luaL_error(L, "not enough memory");
  (*pool)->port = port;
  const char *files[3];
  static const char *const names[] = {"ca", "cert", "key"};
  for (int i = 0; i < 3; i++) { /* the table keeps them */
    lua_getfield(L, 1, names[i]);
    files[i] = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "cert_host");
  lua_getfield(L, 1, "cert_port");
  if (!client_tls_set(&(*pool)->tls, files[0], files[1], files[2], luaL_optstring(L, -2, NULL),
                      (uint16_t)luaL_optinteger(L, -1, 0)))
    return luaL_error(L, "not enough memory");
  lua_pop(L, 2);
  lua_getfield(L, 1, "http2");
  (*pool)->http2 = lua_toboolean(L, -1);
  (*pool)->http2_clear = lua_isstring(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, server); /* the port is a part of it */
  lua_setiuservalue(L, -2, 1);
  return 1;
}

int luaopen_moonloop_http_core(lua_State *L) {
  static const luaL_Reg pool_methods[] = {{"close", l_pool_close}, {NULL, NULL}};
  class_make(L, POOL, pool_methods, l_pool_gc, NULL);
  client_stream_open(L);

  lua_createtable(L, 0, 10);
  lua_pushcfunction(L, l_is_public_suffix);
  lua_setfield(L, -2, "is_public_suffix");
  lua_pushcfunction(L, l_place);
  lua_setfield(L, -2, "place");
  lua_pushcfunction(L, l_redacted);
  lua_setfield(L, -2, "redacted");
  lua_pushcfunction(L, l_public_only);
  lua_setfield(L, -2, "public_only");
  lua_pushcfunction(L, l_in_network);
  lua_setfield(L, -2, "in_network");
  lua_pushcfunction(L, l_request);
  lua_setfield(L, -2, "request");
  lua_pushcfunction(L, client_begin);
  lua_setfield(L, -2, "begin");
  client_bare_open(L);
  client_fields_open(L);
  class_set_with_place(L, "pool", l_pool, l_client_gc);
  return 1;
}
