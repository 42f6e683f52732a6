/* moonloop.web.core: routers, and the task that runs a handler. The API on top of it is
   scripts/moonloop/web/init.lua. */
#include "bindings/web/web.h"

#include "base/hash.h"
#include "bindings/class.h"
#include "bindings/web/open.h"
#include "bindings/web/web_request.h"
#include "core/report.h"
#include "core/task_label.h"
#include "core/task_limits.h"
#include "http/server/access_log.h"
#include "http/server/http_answer.h"
#include "http/server/http_handler.h"
#include "http/server/http_stream.h"
#include <lauxlib.h>
#include <stdio.h>

/* --- the task of a request --- */

static int request_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  Web *web = c->server->user;
  return http_connection_is_closing(c) ? 0
                                       : web_respond(L, web, c, c->match.route->renders ? 2 : 1);
}

int web_handle(lua_State *L) {
  HttpConnection *c = http_handler_connection(task_current(L));
  Web *web = c->server->user;
  http_connection_running(c);
  const Route *route = c->match.route;
  if (route->renders) web_request_push(L, web, c); /* stays there for the response */
  lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
  if (route->renders)
    lua_pushvalue(L, 1);
  else if (route->takes_request)
    web_request_push(L, web, c);
  lua_callk(L, route->takes_request, LUA_MULTRET, (lua_KContext)c, request_returned);
  return request_returned(L, LUA_OK, (lua_KContext)c);
}

typedef struct Failure {
  HttpConnection *connection;
  const char *traceback; /* or NULL */
  bool cancelled;
  bool unwanted; /* it was cancelled because nobody waits for the answer, or the server is stopping
                  */
} Failure;

/* Reports that the handler of the current request raised the error at index 2; `briefly` in one
   line, for an error that was meant as the answer. */
static void report_failure(lua_State *L, const Failure *failure, bool briefly) {
  const HttpConnection *c = failure->connection;
  const HttpRequest *r = &c->request;
  const Route *route = c->match.route;
  char headline[160], place[240];
  if (c->upgrade) /* the head is gone */
    snprintf(headline, sizeof headline, "the WebSocket of %.120s failed", route->name);
  else
    snprintf(headline, sizeof headline, "%s %.*s failed",
             llhttp_method_name((llhttp_method_t)r->method),
             (int)(r->path.len < 120 ? r->path.len : 120), http_request_head(r) + r->path.at);
  /* A handler that ends in `return f()` is missing from the traceback of an error in f. */
  snprintf(place, sizeof place, "in the handler of %s (%s)", route->name,
           route->site ? route->site : "?");
  if (web_server_keep_failure(L, c, 2, place, failure->traceback, briefly)) return;
  report_error(L, headline, 2, briefly ? NULL : failure->traceback,
               briefly || !route->site ? NULL : place);
}

/* fail(failure, error): answers for a handler that failed, and reports an error that is not meant
   as an answer or that is a failure of the server. */
static int l_fail_request(lua_State *L) {
  const Failure *failure = lua_touserdata(L, 1);
  HttpConnection *c = failure->connection;
  Web *web = c->server->user;
  if (!failure->cancelled && http_connection_may_answer(c)) {
    int status = web_respond_error(L, web, c, 2);
    if (status >= 500) report_failure(L, failure, true);
    if (status) return 0;
  }
  if (!failure->unwanted) report_failure(L, failure, false);
  if (!http_connection_may_answer(c)) return 0;
  if (failure->unwanted)
    http_answer_detail(c, 503, "Service Unavailable", "");
  else
    http_answer_detail(c, 500, "Internal Server Error", "");
  return 0;
}

void web_handler_failed(HttpConnection *c, const Task *t, lua_State *L, const char *traceback) {
  /* Pushes nothing that needs memory: there may be none, and there is no protected call yet. */
  Failure failure = {c, traceback, t->status == TASK_CANCELLED, false};
  if (failure.cancelled) failure.unwanted = http_connection_is_closing(c) || c->server->stopping;
  http_stream_fail(c); /* the error is reported in any case */
  lua_pushcfunction(L, l_fail_request);
  lua_pushlightuserdata(L, &failure);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  report_error(L, "a failure could not be answered", -1, NULL, NULL);
  if (http_connection_may_answer(c)) http_answer_detail(c, 500, "Internal Server Error", "");
}

/* --- routers --- */

typedef struct WebRouter {
  HttpRouter *router;
} WebRouter;

static int l_router_gc(lua_State *L) {
  WebRouter *r = lua_touserdata(L, 1);
  if (r->router)
    for (const Route *route = http_router_routes(r->router); route; route = route->next)
      luaL_unref(L, LUA_REGISTRYINDEX, route->handler_ref);
  http_router_free(r->router);
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
  r->router = http_router_new();
  if (!r->router) return luaL_error(L, "not enough memory");
  return 1;
}

/* router:add(method, pattern, handler, max_body | nil (the server's), cpu | nil, slice | nil,
   site | nil (where the script's handler is, for reports)) -> true | nil, what is wrong */
static int l_router_add(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  RouteMethod method = http_router_method(luaL_checkstring(L, 2));
  const char *pattern = luaL_checkstring(L, 3);
  luaL_argcheck(L, method < ROUTE_METHODS, 2, "unknown method");
  luaL_checkany(L, 4);
  lua_Number max_body = luaL_optnumber(L, 5, -1);
  double cpu = luaL_optnumber(L, 6, 0), slice = luaL_optnumber(L, 7, 0);
  const char *site = luaL_optstring(L, 8, NULL);
  char error[400];
  bool renders = web_chain_is_link(L, 4);
  lua_Debug about = {.nparams = 1};
  if (lua_isfunction(L, 4)) { /* a function without parameters cannot see its request */
    lua_pushvalue(L, 4);
    lua_getinfo(L, ">u", &about);
  }
  lua_pushvalue(L, 4);
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  Route *route = http_router_add(r->router, method, pattern, error, sizeof error);
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
  route->site = site ? strdup(site) : NULL; /* if memory is out, reports go without it */
  lua_pushboolean(L, 1);
  return 1;
}

/* router:add_fallback(prefix, handler) -> true | nil, message: for requests without a route whose
   path begins with the prefix (a pattern without a '/' at its end). */
static int l_router_add_fallback(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  const char *prefix = luaL_checkstring(L, 2);
  char error[400];
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  bool renders = web_chain_is_link(L, 3);
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  Route *route = http_router_add_fallback(r->router, prefix, error, sizeof error);
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

/* router:add_mount(prefix) -> true | nil, message: see http_router_add_mount. */
static int l_router_add_mount(lua_State *L) {
  WebRouter *r = luaL_checkudata(L, 1, WEB_ROUTER);
  char error[400];
  if (http_router_add_mount(r->router, luaL_checkstring(L, 2), error, sizeof error)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error);
  return 2;
}

static int l_web_gc(lua_State *L) {
  Web *web = lua_touserdata(L, 1);
  buffer_free(&web->body);
  buffer_free(&web->lines);
  return 0;
}

/* on_file(f): f(request, response) turns a response with a file into one with a status, headers,
   and a stream or a body. It may suspend. */
static int l_on_file(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (web->on_file) luaL_unref(L, LUA_REGISTRYINDEX, web->on_file);
  web->on_file = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* on_failed_stream(f): f(request, error, traceback, response, render, name) makes the answer if the
   stream of a response, from a route with middleware, fails before anything was sent. It may
   suspend. */
static int l_on_failed_stream(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (web->on_failed_stream) luaL_unref(L, LUA_REGISTRYINDEX, web->on_failed_stream);
  web->on_failed_stream = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* reason(status) -> "Not Found" */
static int l_reason(lua_State *L) {
  lua_pushstring(L, http_response_reason((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* Makes the error object of the status and the detail at `detail`. */
static void push_abort(lua_State *L, int status, int detail) {
  detail = lua_absindex(L, detail);
  const char *text =
      lua_type(L, detail) == LUA_TSTRING ? lua_tostring(L, detail) : http_response_reason(status);
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

/* Without memory the entries have the number. */
static void label_request(const HttpConnection *c, const char *id, size_t n) {
  TaskLabel *label = task_label_new(c->match.route->name, id, n);
  if (label) task_label_set(c->task, c->number, label);
  task_label_drop(label);
}

/* log_id(id): the logs call the request of the running handler by this id. */
static int l_log_id(lua_State *L) {
  size_t n;
  const char *id = luaL_checklstring(L, 1, &n);
  const Task *t = task_current(L);
  const HttpConnection *c = t ? http_handler_connection(t) : NULL;
  luaL_argcheck(L, n <= ACCESS_ID_MAX, 1, "the id is too long");
  if (c && c->task == t && c->match.route) label_request(c, id, n);
  if (!c || !c->access) return 0;
  AccessNote *note = c->access;
  memcpy(note->id, id, n);
  note->id_len = n;
  return 0;
}

/* upgrade_problem(req) -> why the current request cannot be the handshake of another protocol, or
   nil: "plain" if it would be ignored (RFC 9110 section 7.8), or what is wrong with it */
static int l_upgrade_problem(lua_State *L) {
  const WebRequest *req = luaL_checkudata(L, 1, WEB_REQUEST);
  const HttpConnection *c = web_tail_connection(L);
  const HttpRequest *r = c ? &c->request : NULL;
  if (!c || c->number != req->number || r->method != HTTP_GET || !r->minor)
    lua_pushliteral(L, "plain");
  else if (r->chunked || r->content_length)
    lua_pushliteral(L, "the request of a handshake has no body");
  else
    return 0;
  return 1;
}

/* root_path() -> the root path of the server whose request the running task, or one that has
   started it, handles; or "" */
static int l_root_path(lua_State *L) {
  const HttpConnection *c = web_tail_connection(L);
  lua_pushstring(L, c && c->server->root_path ? c->server->root_path : "");
  return 1;
}

/* is_stopping() -> is the server of the running handler's request taking no more requests? */
static int l_is_stopping(lua_State *L) {
  const Task *t = task_current(L);
  const HttpConnection *c = t ? http_handler_connection(t) : NULL;
  lua_pushboolean(L, c && c->server->stopping);
  return 1;
}

/* new_id() -> 32 hexadecimal digits, unique across calls and processes */
static int l_new_id(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  if (!web->id_count && uv_random(NULL, NULL, web->id_seed, sizeof web->id_seed, 0, NULL))
    return luaL_error(L, "no random numbers");
  char text[33];
  snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)web->id_seed[0],
           (unsigned long long)hash_mix(web->id_seed[1] + ++web->id_count));
  lua_pushlstring(L, text, 32);
  return 1;
}

/* abort(status, detail [, headers]) -> the error object that makes web_respond_error answer so */
static int l_abort(lua_State *L) {
  lua_settop(L, 3);
  push_abort(L, (int)luaL_checkinteger(L, 1), 2);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "headers");
  return 1;
}

/* --- the module --- */

static void open_router(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", l_router_add},
                                     {"add_fallback", l_router_add_fallback},
                                     {"add_mount", l_router_add_mount},
                                     {NULL, NULL}};
  class_make(L, WEB_ROUTER, methods, l_router_gc, NULL);
}

int luaopen_moonloop_web_core(lua_State *L) {
  static const char *const fields[WEB_FIELDS] = {"status",   "_checked",     "_body",   "_json",
                                                 "body",     "json",         "stream",  "file",
                                                 "_headers", "_own_headers", "_upgrade"};
  lua_settop(L, 0);
  lua_newtable(L);
  Web *web = lua_newuserdatauv(L, sizeof *web, 0);
  memset(web, 0, sizeof *web);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_web_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  luaL_ref(L, LUA_REGISTRYINDEX); /* the close hook needs it until the end */
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
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_on_failed_stream, 1);
  lua_setfield(L, 1, "on_failed_stream");
  static const luaL_Reg functions[] = {{"router", l_router},
                                       {"reason", l_reason},
                                       {"abort", l_abort},
                                       {"allowed", web_request_allowed},
                                       {"log_id", l_log_id},
                                       {"is_stopping", l_is_stopping},
                                       {"root_path", l_root_path},
                                       {"upgrade_problem", l_upgrade_problem},
                                       {"on_session", web_request_on_session},
                                       {"mailbox", web_out_mailbox},
                                       {"may_keep", web_out_may_keep},
                                       {"hold_chunks", web_body_hold},
                                       {"feed_form", web_body_feed},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_new_id, 1);
  lua_setfield(L, 1, "new_id");
  web_headers_open(L);
  web_chain_open(L, web);
  web_valid_open(L);
  web_encode_open(L, web);
  web_tail_open(L, web);
  web_server_open(L, web);
  return 1;
}
