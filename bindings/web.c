/* moonloop.web.core: routers, servers, and the task that runs a handler. The API on top of it is
   scripts/moonloop/web.lua. */
#include "web.h"

#include "error.h"
#include "http_stream.h"
#include "modules.h"
#include "report.h"
#include "task_limits.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A task that waits for the server to stop. */
typedef struct StopWait {
  struct StopWait *next, **link;
  Waker waker;
} StopWait;

typedef struct WebServer {
  HttpServer http; /* first: a connection's server is this one */
  Web *web;
  struct WebServer *next, **link; /* in web->servers */
  StopWait *waits;
  int self;   /* registry reference: the userdata, until it has stopped */
  int router; /* the same for its router */
} WebServer;

/* --- the task of a request --- */

static int request_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  WebServer *server = (WebServer *)c->server;
  return c->closing ? 0 : web_respond(L, server->web, c, 2);
}

static int request_main(lua_State *L) {
  HttpConnection *c = lua_touserdata(L, 1);
  WebServer *server = (WebServer *)c->server;
  http_connection_running(c);
  const Route *route = c->match.route;
  lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
  if (route->takes_request) web_request_push(L, server->web, c);
  lua_callk(L, route->takes_request, LUA_MULTRET, (lua_KContext)c, request_returned);
  return request_returned(L, LUA_OK, (lua_KContext)c);
}

/* fail(connection, error, traceback, cancelled): answers in the place of a handler that failed, and
   reports what is nobody's answer. */
static int fail_request(lua_State *L) {
  HttpConnection *c = lua_touserdata(L, 1);
  WebServer *server = (WebServer *)c->server;
  bool cancelled = lua_toboolean(L, 4);
  if (!cancelled && !c->closing && !c->answered && web_respond_error(L, server->web, c, 2))
    return 0;
  if (!cancelled) {
    const HttpRequest *r = &c->request;
    char headline[160];
    snprintf(headline, sizeof headline, "moonloop: %s %.*s failed",
             llhttp_method_name((llhttp_method_t)r->method),
             (int)(r->path.len < 120 ? r->path.len : 120), http_request_head(r) + r->path.at);
    report_error(L, headline, 2, lua_tostring(L, 3), NULL);
  }
  if (c->closing || c->answered) return 0;
  if (cancelled && c->server->stopping)
    http_connection_detail(c, 503, "Service Unavailable", "");
  else
    http_connection_detail(c, 500, "Internal Server Error", "");
  return 0;
}

static void request_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  HttpConnection *c = container_of(owner, HttpConnection, owner);
  if (t->status != TASK_DONE) {
    http_stream_fail(c); /* the error is reported in any case */
    lua_pushcfunction(L, fail_request);
    lua_pushlightuserdata(L, c);
    lua_pushvalue(L, -3);
    lua_pushstring(L, traceback);
    lua_pushboolean(L, t->status == TASK_CANCELLED);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
      report_error(L, "moonloop: a failure could not be answered", -1, NULL, NULL);
      if (!c->closing && !c->answered) http_connection_detail(c, 500, "Internal Server Error", "");
    }
  }
  http_connection_responded(c);
}

/* "GET /users/{id} (request 7)" */
static void describe_request(TaskOwner *owner, Text *text) {
  const HttpConnection *c = container_of(owner, HttpConnection, owner);
  text_add(text, c->match.route->name);
  text_add(text, " (request ");
  text_add_number(text, c->number);
  text_add(text, ")");
}

static void start_request(HttpConnection *c) {
  Runtime *rt = c->server->rt;
  const Route *route = c->match.route;
  lua_pushcfunction(rt->L, request_main);
  lua_pushlightuserdata(rt->L, c);
  c->owner = (TaskOwner){request_ended, describe_request};
  c->task = task_start_soon(rt->L, rt, NULL, 1, &c->owner);
  c->task->name = route->name;
  limits_set(c->task, route->cpu, route->slice);
}

/* --- routers --- */

typedef struct WebRouter {
  HttpRouter *router;
} WebRouter;

static int router_gc(lua_State *L) {
  WebRouter *r = lua_touserdata(L, 1);
  if (r->router)
    for (const Route *route = router_routes(r->router); route; route = route->next)
      luaL_unref(L, LUA_REGISTRYINDEX, route->handler_ref);
  router_free(r->router);
  r->router = NULL;
  return 0;
}

/* router() -> router */
static int l_router(lua_State *L) {
  WebRouter *r = lua_newuserdatauv(L, sizeof *r, 1);
  r->router = NULL;
  luaL_setmetatable(L, WEB_ROUTER);
  r->router = router_new();
  if (!r->router) return luaL_error(L, "not enough memory");
  return 1;
}

/* router:add(method, pattern, handler, max_body | nil (the server's), cpu | nil, slice | nil)
   -> true | nil, what is wrong */
static int l_router_add(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  RouteMethod method = router_method(luaL_checkstring(L, 2));
  const char *pattern = luaL_checkstring(L, 3);
  luaL_argcheck(L, method < ROUTE_METHODS, 2, "unknown method");
  luaL_checkany(L, 4);
  lua_Number max_body = luaL_optnumber(L, 5, -1);
  double cpu = luaL_optnumber(L, 6, 0), slice = luaL_optnumber(L, 7, 0);
  char error[400];
  lua_settop(L, 4);
  lua_Debug about = {.nparams = 1};
  if (lua_isfunction(L, 4)) { /* nobody could see the request of a function without parameters */
    lua_pushvalue(L, 4);
    lua_getinfo(L, ">u", &about);
  }
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  Route *route = router_add(r->router, method, pattern, error, sizeof error);
  if (!route) {
    luaL_unref(L, LUA_REGISTRYINDEX, handler);
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
  }
  route->handler_ref = handler;
  route->max_body = max_body < 0        ? ROUTE_MAX_BODY_UNSET
                    : max_body < 0x1p53 ? (uint64_t)max_body
                                        : HTTP_NO_LIMIT;
  route->takes_request = about.nparams || about.isvararg;
  route->cpu = cpu;
  route->slice = slice;
  lua_pushboolean(L, 1);
  return 1;
}

/* router:add_fallback(prefix, handler) -> true | nil, what is wrong: for the requests whose path
   begins with the prefix (a pattern without a '/' at its end) and has no route. */
static int l_router_add_fallback(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  const char *prefix = luaL_checkstring(L, 2);
  char error[400];
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  Route *route = router_add_fallback(r->router, prefix, error, sizeof error);
  if (!route) {
    luaL_unref(L, LUA_REGISTRYINDEX, handler);
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
  }
  route->handler_ref = handler;
  route->max_body = ROUTE_MAX_BODY_UNSET;
  route->takes_request = true;
  lua_pushboolean(L, 1);
  return 1;
}

/* --- servers --- */

static WebServer *check_server(lua_State *L) {
  return *(WebServer **)luaL_checkudata(L, 1, WEB_SERVER);
}

static void server_stopped(HttpServer *http) {
  WebServer *server = (WebServer *)http;
  Runtime *rt = http->rt;
  *server->link = server->next;
  if (server->next) server->next->link = server->link;
  for (StopWait *wait = server->waits; wait; wait = wait->next) ml_wait_wake(wait->waker);
  if (rt->closing) return; /* the state is on its way out with all its references */
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->self);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->router);
}

static int server_gc(lua_State *L) {
  WebServer **server = lua_touserdata(L, 1);
  free(*server);
  *server = NULL;
  return 0;
}

/* Sets the limits that the table at `index` has. */
static void check_limits(lua_State *L, int index, HttpLimits *limits) {
  for (int i = 0; i < HTTP_LIMITS; i++) {
    lua_getfield(L, index, http_limits[i].name);
    if (!lua_isnil(L, -1))
      luaL_argcheck(L, http_limits_set(limits, &http_limits[i], luaL_checknumber(L, -1)), index,
                    http_limits[i].name);
    lua_pop(L, 1);
  }
}

/* limit(name, value) -> nil: it is a limit and the value is allowed; false: there is no such limit;
   a string: what is expected of the value. */
static int l_limit(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  const HttpLimit *limit = memchr(name, '-', n) ? NULL : http_limits_find(name, n);
  HttpLimits scratch;
  char expected[120];
  if (!limit) return lua_pushboolean(L, 0), 1;
  if (lua_type(L, 2) == LUA_TNUMBER && http_limits_set(&scratch, limit, lua_tonumber(L, 2)))
    return 0;
  http_limits_describe(limit, expected, sizeof expected);
  lua_pushstring(L, expected);
  return 1;
}

/* listen(router, host, port, limits) -> server | nil, err: serves until it is stopped. `limits` is
   a table of those that are not the default, by their names in http_limits. */
static int l_listen(lua_State *L) {
  WebRouter *router = luaL_checkudata(L, 1, WEB_ROUTER);
  const char *host = luaL_checkstring(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  luaL_argcheck(L, port >= 0 && port <= 65535, 3, "a port is 0 to 65535");
  luaL_checktype(L, 4, LUA_TTABLE);
  HttpLimits limits;
  http_limits_default(&limits);
  check_limits(L, 4, &limits);
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  Runtime *rt = runtime_of(L);
  lua_settop(L, 3);
  WebServer **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, WEB_SERVER);
  WebServer *server = calloc(1, sizeof *server);
  if (!server) return luaL_error(L, "not enough memory");
  *box = server;
  server->web = web;
  server->http.rt = rt;
  server->http.router = router->router;
  server->http.start = start_request;
  server->http.stopped = server_stopped;
  server->http.user = web;
  server->http.limits = limits;
  lua_pushvalue(L, 4);
  server->self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  server->router = luaL_ref(L, LUA_REGISTRYINDEX);
  int rc = http_server_listen(&server->http, host, (uint16_t)port);
  if (rc) {
    luaL_unref(L, LUA_REGISTRYINDEX, server->self);
    luaL_unref(L, LUA_REGISTRYINDEX, server->router);
    return ml_error_return(L, "network", uv_err_name(rc), "cannot listen on %s port %d: %s", host,
                           (int)port, uv_strerror(rc));
  }
  server->next = web->servers;
  server->link = &web->servers;
  if (server->next) server->next->link = &server->next;
  web->servers = server;
  return 1;
}

static void stop_wait_end(StopWait *wait) {
  *wait->link = wait->next;
  if (wait->next) wait->next->link = wait->link;
  free(wait);
}

static void stop_wait_cancel(Task *t, void *op) {
  (void)t;
  stop_wait_end(op);
}

static int stop_wait_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  stop_wait_end(op);
  return 0;
}

static const WaitType stop_wait = {
    .name = "server", .cancel = stop_wait_cancel, .finish = stop_wait_finish};

static int wait_until_stopped(lua_State *L, WebServer *server, const char *name) {
  if (server->http.is_stopped) return 0;
  Task *t = ml_wait_enter(L, name);
  StopWait *wait = calloc(1, sizeof *wait);
  if (!wait) return luaL_error(L, "not enough memory");
  wait->waker = ml_wait_waker(t);
  wait->next = server->waits;
  wait->link = &server->waits;
  if (wait->next) wait->next->link = &wait->next;
  server->waits = wait;
  return ml_wait_suspend(L, t, &stop_wait, wait);
}

/* server:wait(): suspends until the server has stopped. */
static int l_server_wait(lua_State *L) {
  return wait_until_stopped(L, check_server(L), "server:wait");
}

/* The limit `drain` in seconds. */
static lua_Number drain_of(const WebServer *server) {
  uint64_t ms = server->http.limits.drain;
  return ms == HTTP_NO_LIMIT ? HUGE_VAL : 1e-3 * (double)ms;
}

/* server:stop([grace]): stops accepting, lets running requests end for `grace` seconds (by default
   the limit `drain`), then cancels them; suspends until all is over. */
static int l_server_stop(lua_State *L) {
  WebServer *server = check_server(L);
  lua_Number grace = luaL_optnumber(L, 2, drain_of(server));
  luaL_argcheck(L, grace >= 0, 2, "a time is not negative");
  http_server_stop(&server->http, grace);
  return wait_until_stopped(L, server, "server:stop");
}

/* server.port; server.drain: that limit in seconds; server.connections, server.requests: counts. */
static int l_server_index(lua_State *L) {
  const WebServer *server = check_server(L);
  const char *key = luaL_checkstring(L, 2);
  if (!strcmp(key, "port")) {
    lua_pushinteger(L, server->http.port);
  } else if (!strcmp(key, "drain")) {
    lua_pushnumber(L, drain_of(server));
  } else if (!strcmp(key, "connections")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_connections);
  } else if (!strcmp(key, "requests")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_requests);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

static void close_servers(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Web *web = container_of(hook, Web, on_close);
  for (WebServer *server = web->servers, *next; server; server = next) {
    next = server->next;
    http_server_abort(&server->http);
  }
}

static int web_gc(lua_State *L) {
  Web *web = lua_touserdata(L, 1);
  buffer_free(&web->body);
  buffer_free(&web->lines);
  return 0;
}

/* on_file(f): f(request, response) makes a response with a status, headers and a stream, or a body,
   of one with a file. It may suspend. */
static int l_on_file(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (web->on_file) luaL_unref(L, LUA_REGISTRYINDEX, web->on_file);
  web->on_file = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* reason(status) -> "Not Found" */
static int l_reason(lua_State *L) {
  lua_pushstring(L, http_reason((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* Makes the error object from the status and the detail at `detail`. */
static void push_abort(lua_State *L, int status, int detail) {
  detail = lua_absindex(L, detail);
  const char *text =
      lua_type(L, detail) == LUA_TSTRING ? lua_tostring(L, detail) : http_reason(status);
  ml_error_push(L, "http", NULL, "%d %s", status, text);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  lua_pushvalue(L, detail);
  lua_setfield(L, -2, "detail");
}

void web_push_abort(lua_State *L, int status, const char *detail) {
  lua_pushstring(L, detail);
  push_abort(L, status, -1);
}

/* abort(status, detail) -> the error object that makes web_respond_error answer so */
static int l_abort(lua_State *L) {
  lua_settop(L, 2);
  push_abort(L, (int)luaL_checkinteger(L, 1), 2);
  return 1;
}

/* --- the module --- */

static void make_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction index,
                       lua_CFunction gc) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  if (index) lua_pushcclosure(L, index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

int luaopen_moonloop_web_core(lua_State *L) {
  static const char *const fields[WEB_FIELDS] = {"status", "_checked", "_body", "_json",   "body",
                                                 "json",   "stream",   "file",  "_headers"};
  static const luaL_Reg router_methods[] = {
      {"add", l_router_add}, {"add_fallback", l_router_add_fallback}, {NULL, NULL}};
  static const luaL_Reg server_methods[] = {
      {"wait", l_server_wait}, {"stop", l_server_stop}, {NULL, NULL}};
  lua_settop(L, 0);
  lua_newtable(L);
  Web *web = lua_newuserdatauv(L, sizeof *web, 0);
  memset(web, 0, sizeof *web);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, web_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  luaL_ref(L, LUA_REGISTRYINDEX); /* the close hook needs it to the end */
  web->on_close.close = close_servers;
  web_request_open(L);
  web_body_open(L);
  web_out_open(L);
  luaL_getmetatable(L, WEB_REQUEST);
  web->request_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
  make_class(L, WEB_ROUTER, router_methods, NULL, router_gc);
  make_class(L, WEB_SERVER, server_methods, l_server_index, server_gc);
  luaL_newmetatable(L, WEB_RESPONSE);
  web->response_metatable = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  web->response_class = luaL_ref(L, LUA_REGISTRYINDEX);
  for (int i = 0; i < WEB_FIELDS; i++) { /* in the order of WebField */
    lua_pushstring(L, fields[i]);
    web->fields[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_setfield(L, 1, "response");
  ml_runtime_on_close(runtime_of(L), &web->on_close);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_listen, 1);
  lua_setfield(L, 1, "listen");
  lua_pushcclosure(L, l_on_file, 1);
  lua_setfield(L, 1, "on_file");
  static const luaL_Reg functions[] = {{"limit", l_limit},
                                       {"router", l_router},
                                       {"reason", l_reason},
                                       {"abort", l_abort},
                                       {"allowed", web_request_allowed},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  web_headers_open(L);
  web_chain_open(L, web);
  return 1;
}
