/* moonloop.web.core: routers, and the task that runs a handler. The API on top of it is
   scripts/moonloop/web.lua. */
#include "web.h"

#include "access_log.h"
#include "http_stream.h"
#include "modules.h"
#include "report.h"
#include "task_limits.h"
#include <lauxlib.h>
#include <stdio.h>

/* --- the task of a request --- */

static int request_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  Web *web = c->server->user;
  return c->closing ? 0 : web_respond(L, web, c, 1);
}

static int request_main(lua_State *L) {
  HttpConnection *c = container_of(task_current(L)->owner, HttpConnection, owner);
  Web *web = c->server->user;
  http_connection_running(c);
  const Route *route = c->match.route;
  lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
  if (route->takes_request) web_request_push(L, web, c);
  lua_callk(L, route->takes_request, LUA_MULTRET, (lua_KContext)c, request_returned);
  return request_returned(L, LUA_OK, (lua_KContext)c);
}

typedef struct Failure {
  HttpConnection *connection;
  const char *traceback; /* or NULL */
  bool cancelled;
} Failure;

/* fail(failure, error): answers in the place of a handler that failed, and reports what is nobody's
   answer. */
static int fail_request(lua_State *L) {
  const Failure *failure = lua_touserdata(L, 1);
  HttpConnection *c = failure->connection;
  Web *web = c->server->user;
  bool cancelled = failure->cancelled;
  if (!cancelled && !c->closing && !c->answered && web_respond_error(L, web, c, 2)) return 0;
  if (!cancelled) {
    const HttpRequest *r = &c->request;
    const Route *route = c->match.route;
    char headline[160], place[240];
    snprintf(headline, sizeof headline, "moonloop: %s %.*s failed",
             llhttp_method_name((llhttp_method_t)r->method),
             (int)(r->path.len < 120 ? r->path.len : 120), http_request_head(r) + r->path.at);
    /* A handler that ends in `return f()` is not in the traceback of what f raises. */
    snprintf(place, sizeof place, "in the handler of %s (%s)", route->name,
             route->site ? route->site : "?");
    report_error(L, headline, 2, failure->traceback, route->site ? place : NULL);
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
    /* Nothing is pushed here that needs memory: there may be none, and no protected call yet. */
    Failure failure = {c, traceback, t->status == TASK_CANCELLED};
    lua_pushcfunction(L, fail_request);
    lua_pushlightuserdata(L, &failure);
    lua_pushvalue(L, -3);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
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

HttpConnection *web_connection_of(const Task *t) {
  if (!t->owner || t->owner->ended != request_ended) return NULL;
  return container_of(t->owner, HttpConnection, owner);
}

bool web_start_request(HttpConnection *c) {
  Runtime *rt = c->server->rt;
  const Route *route = c->match.route;
  c->owner = (TaskOwner){request_ended, describe_request};
  c->task = task_start_soon(rt, request_main, &c->owner);
  if (!c->task) return false;
  c->task->name = route->name;
  if (route->cpu > 0 || route->slice > 0) limits_set(c->task, route->cpu, route->slice);
  return true;
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

const HttpRouter *web_check_router(lua_State *L, int index) {
  const WebRouter *r = luaL_checkudata(L, index, WEB_ROUTER);
  return r->router;
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

/* router:add(method, pattern, handler, max_body | nil (the server's), cpu | nil, slice | nil,
   site | nil (where the script's handler is, for reports)) -> true | nil, what is wrong */
static int l_router_add(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  RouteMethod method = router_method(luaL_checkstring(L, 2));
  const char *pattern = luaL_checkstring(L, 3);
  luaL_argcheck(L, method < ROUTE_METHODS, 2, "unknown method");
  luaL_checkany(L, 4);
  lua_Number max_body = luaL_optnumber(L, 5, -1);
  double cpu = luaL_optnumber(L, 6, 0), slice = luaL_optnumber(L, 7, 0);
  const char *site = luaL_optstring(L, 8, NULL);
  char error[400];
  bool renders = web_chain_is_link(L, 4);
  lua_Debug about = {.nparams = 1};
  if (lua_isfunction(L, 4)) { /* nobody could see the request of a function without parameters */
    lua_pushvalue(L, 4);
    lua_getinfo(L, ">u", &about);
  }
  lua_pushvalue(L, 4);
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
  route->renders = renders;
  route->cpu = cpu;
  route->slice = slice;
  route->site = site ? strdup(site) : NULL; /* without memory the reports do without it */
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
  bool renders = web_chain_is_link(L, 3);
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
  route->renders = renders;
  lua_pushboolean(L, 1);
  return 1;
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

/* log_id(id): the access log names the request whose handler's task this is by the text. */
static int l_log_id(lua_State *L) {
  size_t n;
  const char *id = luaL_checklstring(L, 1, &n);
  const Task *t = task_current(L);
  const HttpConnection *c = t ? web_connection_of(t) : NULL;
  luaL_argcheck(L, n <= ACCESS_ID_MAX, 1, "the id is too long");
  if (!c || !c->access) return 0;
  AccessNote *note = c->access;
  memcpy(note->id, id, n);
  note->id_len = n;
  return 0;
}

/* The bijection of splitmix64: a counter becomes what looks random. */
static uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/* new_id() -> 32 hexadecimal digits that no other call, nor another process, returns */
static int l_new_id(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  if (!web->id_count && uv_random(NULL, NULL, web->id_seed, sizeof web->id_seed, 0, NULL))
    return luaL_error(L, "no random numbers");
  char text[33];
  snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)web->id_seed[0],
           (unsigned long long)mix(web->id_seed[1] + ++web->id_count));
  lua_pushlstring(L, text, 32);
  return 1;
}

/* abort(status, detail) -> the error object that makes web_respond_error answer so */
static int l_abort(lua_State *L) {
  lua_settop(L, 2);
  push_abort(L, (int)luaL_checkinteger(L, 1), 2);
  return 1;
}

/* --- the module --- */

static void open_router(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"add", l_router_add}, {"add_fallback", l_router_add_fallback}, {NULL, NULL}};
  modules_make_class(L, WEB_ROUTER, methods, router_gc, NULL);
}

int luaopen_moonloop_web_core(lua_State *L) {
  static const char *const fields[WEB_FIELDS] = {"status", "_checked", "_body", "_json",   "body",
                                                 "json",   "stream",   "file",  "_headers"};
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
  web->on_close.close = web_close_servers;
  web_request_open(L);
  web_body_open(L);
  web_out_open(L);
  luaL_getmetatable(L, WEB_REQUEST);
  web->request_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
  open_router(L);
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
  lua_pushcclosure(L, l_on_file, 1);
  lua_setfield(L, 1, "on_file");
  static const luaL_Reg functions[] = {{"router", l_router}, {"reason", l_reason},
                                       {"abort", l_abort},   {"allowed", web_request_allowed},
                                       {"log_id", l_log_id}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_new_id, 1);
  lua_setfield(L, 1, "new_id");
  web_headers_open(L);
  web_chain_open(L, web);
  web_server_open(L, web);
  return 1;
}
