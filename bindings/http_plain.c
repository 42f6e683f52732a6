/* moonloop.http.plain: HTTP/1.1 without TLS, on llhttp over the loop (host/http_plain_*.h). No
   policy here: redirects, retries on demand, options and Response objects are
   scripts/moonloop/http.lua's. moonloop.http.core does the same with libcurl.

   pool(opts) -> pool
     A pool of connections. opts, a table: `max_connections` at a time, in all (an integer);
     `max_per_origin` (an integer; nil: as many); `idle`, seconds after which a connection without a
     request is closed. Further requests wait in line. Collected, the pool closes its connections.
   pool:close()
     Takes no request more: idle connections are closed at once, the others after their requests.

   request(pool, method, url, lines, body, timeout, max_body, stream, unix_path)
     -> status, body, head, url | nil, err
     Suspends until the whole response is there; with `stream`, until its head is.
       method     in capitals, a token
       url        http://...: absolute. Characters that may not stand in a URL are percent-encoded.
   A user and password become Basic credentials where `lines` has no Authorization lines      "" or
   header lines, each "Name: value\r\n", checked by the caller; none of Content-Length and
   Transfer-Encoding. Host, User-Agent, Accept and Accept-Encoding are added where they are missing
       body       a string or nil
       timeout    seconds for the whole request, maybe infinite; 0 is over at once. With `stream`,
                  for all until the head is there, and then anew for each read
       max_body   bytes of the decoded body, maybe infinite: more is an error "http", "too_large"
       stream     true: `body` is a reader
       unix_path  of the socket to connect to, or nil; the Host header is still the URL's
     Gives back
       status     an integer from 200 on
       body       the decoded body, or the reader
       head       the header lines as text, names in lower case: moonloop.http.core's `headers`
                  makes a table of it
       url        that was asked for, in its normal form, without user and password
     Errors have the kinds "dns", "network", "timeout" and "http", and begin with method and URL.
     A kept connection that turns out to be closed before any byte of a response came is replaced
     once, for idempotent methods.

   begin(pool, method, url, lines, length, timeout, unix_path) -> upload | nil, err
     Sends the head of a request whose body is given bit by bit: `length` bytes, or chunked where
     that is nil. Suspends until there is a connection. `timeout` bounds each wait.
   upload:write(chunk) -> true | false | nil, err
     Suspends while more than 64 kB are unsent. false: the response has come already, nothing more
     is wanted, and `response` gives it. More than `length` bytes raise.
   upload:response(max_body, stream) -> as `request`
     Ends the body and waits for the response. Fewer than `length` bytes raise, unless the response
     has come already. The upload is over after it.
   upload:close()
     Breaks it off where it is not over. Also __gc and __close.

   reader:read() -> chunk | nil | nil, err
     The next piece of the body, not empty, at most 64 kB; nil at its end. Suspends until there is
     one. One task at a time. The server is held back while more than 128 kB wait to be read.
   reader:close()
     Breaks the transfer off where the end was not reached. Also __gc and __close.

   A task that is cancelled in any of these breaks its exchange off; its connection is closed. */
#include "http_plain.h"
#include "modules.h"
#include <lauxlib.h>
#include <string.h>

#define POOL "moonloop.http.plain.pool"

size_t http_plain_check_size(lua_State *L, int index) {
  lua_Number n = luaL_checknumber(L, index);
  return n < 9e15 ? (size_t)n : SIZE_MAX;
}

/* --- what an exchange came to --- */

int http_plain_push_error(lua_State *L, const PlainExchange *x) {
  const PlainRequest *r = &x->request;
  const char *shown = r->shown;
  if (!shown) {
    lua_pushlstring(L, r->base, r->base_len);
    lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), r->url.target);
    shown = lua_tostring(L, -1);
  }
  return ml_error_return(L, x->error_kind, x->error_code, "%s %s: %s", r->method, shown, x->error);
}

void http_plain_drop_undelivered(PlainClient *client) {
  PlainExchange *x = client->delivering;
  client->delivering = NULL;
  if (x) plain_exchange_release(x);
}

int http_plain_push_response(lua_State *L, PlainExchange *x, int url) {
  const PlainResponse *r = &x->response;
  PlainClient *client = x->client;
  int n = 4;
  client->delivering = x;
  if (x->error_kind) {
    n = http_plain_push_error(L, x);
  } else {
    lua_pushinteger(L, r->status);
    lua_pushlstring(L, r->body.data ? r->body.data : "", r->body.len);
    lua_pushlstring(L, r->head.data ? r->head.data : "", r->head.len);
    lua_pushvalue(L, url);
  }
  http_plain_drop_undelivered(client); /* it is delivered */
  return n;
}

void http_plain_describe(const PlainExchange *x, const char *what, char *text, size_t size) {
  const char *url = x->request.shown; /* without its path, which is nobody's business */
  if (!url) url = x->request.base;
  size_t n = strlen("http://");
  n += strcspn(url + n, "/?#");
  snprintf(text, size, "http %s %s %.*s", what, x->request.method, (int)n, url);
}

/* --- a request whose response is wanted whole --- */

void http_plain_cancel(Task *task, void *op) {
  (void)task;
  plain_exchange_release(op);
}

static int request_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return http_plain_push_response(L, op, 3);
}

void http_plain_describe_request(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  http_plain_describe(op, "request", text, size);
}

static const WaitType request_wait = {.name = "http request",
                                      .cancel = http_plain_cancel,
                                      .finish = request_finish,
                                      .describe = http_plain_describe_request};

PlainPool *http_plain_check_pool(lua_State *L, int index) {
  PlainPool **pool = luaL_checkudata(L, index, POOL);
  return *pool;
}

PlainExchange *http_plain_send(lua_State *L, PlainPool *pool, const PlainRequest *request,
                               size_t max_body, bool by_pieces) {
  http_plain_drop_undelivered(pool->client);
  PlainExchange *x = plain_exchange_start(pool, request, max_body, by_pieces);
  if (!x) luaL_error(L, "not enough memory");
  return x;
}

int http_plain_start(lua_State *L, PlainPool *pool, int url, PlainRequest *request, double timeout,
                     size_t max_body, bool by_pieces, PlainExchange **x) {
  int failed = http_plain_check_url(L, url, request);
  if (failed) return failed;
  if (timeout <= 0)
    return ml_error_return(L, "timeout", "CURLE_OPERATION_TIMEDOUT",
                           "%s %s: not finished within 0 s", request->method, request->shown);
  *x = http_plain_send(L, pool, request, max_body, by_pieces);
  return 0;
}

int http_plain_start_arguments(lua_State *L, PlainRequest *request, int unix_path, double timeout,
                               size_t max_body, bool by_pieces, PlainExchange **x) {
  PlainPool *pool = http_plain_check_pool(L, 1);
  request->method = luaL_checkstring(L, 2);
  request->lines = luaL_optlstring(L, 4, "", &request->lines_len);
  request->unix_path = luaL_optstring(L, unix_path, NULL);
  return http_plain_start(L, pool, 3, request, timeout, max_body, by_pieces, x);
}

static int l_request(lua_State *L) {
  size_t body_len = 0;
  lua_settop(L, 9);
  PlainRequest request = {.body = luaL_optlstring(L, 5, NULL, &body_len)};
  request.body_len = body_len;
  double timeout = luaL_checknumber(L, 6);
  size_t max_body = http_plain_check_size(L, 7);
  if (lua_toboolean(L, 8)) return http_plain_stream(L, &request, timeout, max_body);
  Task *task = ml_wait_enter(L, "ml.http");
  PlainExchange *x;
  int failed = http_plain_start_arguments(L, &request, 9, timeout, max_body, false, &x);
  if (failed) return failed;
  if (plain_exchange_has(x, PLAIN_WANTS_END)) return http_plain_push_response(L, x, 3);
  if (plain_exchange_wait(x, PLAIN_WANTS_END, ml_wait_waker(task), timeout))
    return ml_wait_suspend(L, task, &request_wait, x);
  plain_exchange_release(x);
  return luaL_error(L, "not enough memory");
}

/* --- pools --- */

static int pool_gc(lua_State *L) {
  PlainPool **pool = lua_touserdata(L, 1);
  if (*pool) plain_pool_free(*pool);
  *pool = NULL;
  return 0;
}

/* pool:close(): no request more; idle connections are closed at once, the others after theirs */
static int pool_close(lua_State *L) {
  plain_pool_retire(http_plain_check_pool(L, 1));
  return 0;
}

static int client_gc(lua_State *L) {
  PlainClient **client = lua_touserdata(L, 1);
  if (*client) plain_client_free(*client);
  *client = NULL;
  return 0;
}

static unsigned check_count(lua_State *L, const char *name, unsigned otherwise) {
  lua_getfield(L, 1, name);
  lua_Number n = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  if (!(n >= 1)) luaL_error(L, "%s: a number from 1 on expected", name);
  return n < 1e9 ? (unsigned)n : 1000000000;
}

/* Upvalue 1 keeps the runtime's client. */
static int l_pool(lua_State *L) {
  PlainClient **client = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TTABLE);
  unsigned max = check_count(L, "max_connections", 100);
  unsigned per_origin = check_count(L, "max_per_origin", max);
  lua_getfield(L, 1, "idle");
  double idle = luaL_optnumber(L, -1, 60);
  if (!(idle >= 0)) return luaL_error(L, "idle: a number of seconds from 0 on expected");
  if (!*client) *client = plain_client_new(runtime_of(L));
  PlainPool **pool = lua_newuserdatauv(L, sizeof *pool, 0);
  *pool = NULL;
  luaL_setmetatable(L, POOL);
  if (*client) *pool = plain_pool_new(*client, max, per_origin, idle);
  return *pool ? 1 : luaL_error(L, "not enough memory");
}

int luaopen_moonloop_http_plain(lua_State *L) {
  static const luaL_Reg pool_methods[] = {{"close", pool_close}, {NULL, NULL}};
  modules_make_class(L, POOL, pool_methods, pool_gc, NULL);
  http_plain_stream_open(L);

  lua_createtable(L, 0, 5);
  lua_pushcfunction(L, l_request);
  lua_setfield(L, -2, "request");
  lua_pushcfunction(L, http_plain_begin);
  lua_setfield(L, -2, "begin");
  http_plain_bare_open(L);
  modules_set_with_place(L, "pool", l_pool, client_gc);
  return 1;
}
