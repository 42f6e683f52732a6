/* The servers of moonloop.web.core: listening, what they tell, their access log. */
#include "bindings/web/web_server.h"
#include "http/http2_library.h"
#include "http/server/http2_session.h"

#include "serve/supervised.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

WebServer *web_server_check(lua_State *L, int index) {
  return *(WebServer **)luaL_checkudata(L, index, WEB_SERVER);
}

/* This worker process, or NULL. */
static Supervised *supervised_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  Supervised *supervised = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return supervised;
}

static int l_server_gc(lua_State *L) {
  WebServer **server = lua_touserdata(L, 1);
  if (*server) {
    signals_remove_hook(&(*server)->on_signal);
    buffer_free(&(*server)->log.log.lines);
    http_trust_free(&(*server)->http.trust);
    free((*server)->http.root_path);
    tls_context_release((*server)->http.tls);
  }
  free(*server);
  *server = NULL;
  return 0;
}

/* --- the access log --- */

/* server:take_entries() -> the waiting lines of the access log | nil */
static int l_server_take_entries(lua_State *L) {
  return web_access_log_take(&web_server_check(L, 1)->log, L);
}

/* server:log(format | function): keeps an access log: "common" or "json" on standard output. A
   function is called in a separate task, with the server, when there are entries to take. */
static int l_server_log(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  const Supervised *supervised = supervised_of(L);
  web_access_log_open(&server->log, L, 2, &server->http, server->self,
                      supervised ? supervised->number : 0);
  return 0;
}

/* --- listening --- */

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

/* limit_names() -> list */
static int l_limit_names(lua_State *L) {
  lua_createtable(L, HTTP_LIMITS, 0);
  for (int i = 0; i < HTTP_LIMITS; i++) {
    lua_pushstring(L, http_limits[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* limit(name, value) -> nil: it is a limit, and the value is allowed; false: there is no such
   limit; a string: what the value should be. */
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

/* The options trusted_proxies, proxy_protocol and root_path of the table at `index`, which
   web/proxy_options.lua has checked. */
static void take_proxy_options(lua_State *L, int index, HttpServer *http) {
  size_t n;
  if (lua_getfield(L, index, "trusted_proxies") == LUA_TTABLE) {
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
      const char *text = lua_tolstring(L, -1, &n);
      if (!http_trust_add(&http->trust, text, n)) luaL_error(L, "trusted_proxies: %s", text);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_getfield(L, index, "proxy_protocol");
  http->proxy_protocol = lua_toboolean(L, -1);
  if (lua_getfield(L, index, "root_path") == LUA_TSTRING) {
    const char *path = lua_tolstring(L, -1, &n);
    http->root_path = n ? strdup(path) : NULL;
    http->root_path_len = http->root_path ? n : 0;
    if (n && !http->root_path) luaL_error(L, "not enough memory");
  }
  lua_pop(L, 3);
}

/* is_proxy(text): can the text be an item of trusted_proxies? */
static int l_is_proxy(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, http_trust_is(text, n));
  return 1;
}

/* The option http2 of the table at `index`. */
static HttpVersion2 read_http2(lua_State *L, int index) {
  int type = lua_getfield(L, index, "http2");
  HttpVersion2 wanted = type == LUA_TSTRING                        ? HTTP2_CLEAR
                        : type == LUA_TNIL || lua_toboolean(L, -1) ? HTTP2_SECURE
                                                                   : HTTP2_NONE;
  lua_pop(L, 1);
  return wanted;
}

/* HTTP/2 in clear needs nghttp2 at once. False: nil and an error are pushed. */
static bool can_http2(lua_State *L, const HttpServer *http) {
  const char *error;
  if (http->http2 != HTTP2_CLEAR || http2_library(&error)) return true;
  ml_error_return(L, "network", NULL, "HTTP/2 needs nghttp2: %s", error);
  return false;
}

/* Makes a server for the router at 1 with the limits at `index`, and pushes it. It serves after
   start_server. */
static WebServer *new_server(lua_State *L, int index) {
  const HttpRouter *router = web_check_router(L, 1);
  luaL_checktype(L, index, LUA_TTABLE);
  HttpLimits limits;
  http_limits_default(&limits);
  check_limits(L, index, &limits);
  bool is_body_limited = lua_getfield(L, index, "max_body") != LUA_TNIL;
  lua_pop(L, 1);
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  WebServer **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, WEB_SERVER);
  WebServer *server = calloc(1, sizeof *server);
  if (!server) luaL_error(L, "not enough memory");
  *box = server;
  server->self = server->router = server->first_router = server->tls = server->failures = LUA_NOREF;
  server->http.rt = runtime_of(L);
  server->http.router = router;
  server->http.handle = web_handle;
  server->http.failed = web_handler_failed;
  server->http.tail = web_tail;
  server->http.tasks = &server->tasks;
  web_server_end_watch(server);
  server->http.user = web;
  server->http.limits = limits;
  server->http.http2 = read_http2(L, index);
  server->http.http2_calls = &http2_session_calls;
  take_proxy_options(L, index, &server->http);
  server->http.max_whole_body = is_body_limited ? HTTP_NO_LIMIT : HTTP_MAX_WHOLE_BODY;
  return server;
}

/* The server on the top of L accepts connections: keeps it, and its router at 1. */
static void start_server(lua_State *L, WebServer *server) {
  Web *web = server->http.user;
  lua_pushvalue(L, -1);
  server->self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  server->router = luaL_ref(L, LUA_REGISTRYINDEX);
  server->next = web->servers;
  server->link = &web->servers;
  if (server->next) server->next->link = &server->next;
  web->servers = server;
}

/* The sockets that the command line has opened for `moonloop serve`, or NULL. */
static ServeSockets *sockets_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SERVE_SOCKETS_KEY);
  ServeSockets *sockets = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return sockets;
}

/* Reads the address at `index` of the list at 5, or the host and port at 2 and 3 if that is nil. */
static void read_address(lua_State *L, lua_Integer index, ListenAddress *address) {
  if (lua_isnil(L, 5)) {
    lua_Integer port = luaL_optinteger(L, 3, HTTP_LISTEN_PORT);
    luaL_argcheck(L, port >= 0 && port <= 65535, 3, "a port from 0 to 65535 expected");
    bool ok = listen_address_tcp(luaL_optstring(L, 2, HTTP_LISTEN_HOST), (uint16_t)port, address);
    luaL_argcheck(L, ok, 2, "the name is too long");
    return;
  }
  size_t n;
  lua_geti(L, 5, index);
  const char *text = luaL_checklstring(L, -1, &n), *wrong = listen_address_read(text, n, address);
  if (wrong) luaL_error(L, "%s: %s", text, wrong);
  lua_pop(L, 1);
}

/* Binds the sockets that the arguments name. Returns 0, or pushes nil and an error and returns the
   number of these. */
static int bind_sockets(lua_State *L, ServeSockets *sockets, Runtime *rt) {
  lua_Integer n = lua_isnil(L, 5) ? 1 : luaL_len(L, 5);
  ListenAddress address;
  luaL_argcheck(L, n >= 1 && n <= SERVE_SOCKETS_MAX, 5, "1 to 64 addresses expected");
  for (lua_Integer i = 1; i <= n; i++) read_address(L, i, &address); /* may raise */
  for (lua_Integer i = 1; i <= n; i++) {
    char where[LISTEN_NAME_MAX + 32];
    read_address(L, i, &address);
    int rc = listen_bind(&rt->loop, &address, &sockets->list[sockets->n]);
    if (rc) {
      serve_sockets_close(sockets);
      listen_address_show(&address, where, sizeof where);
      return ml_error_return(L, "network", uv_err_name(rc), "cannot listen on %s: %s", where,
                             listen_strerror(rc));
    }
    sockets->n++;
  }
  return 0;
}

/* Lets the server accept on the sockets, which it takes over. Returns as bind_sockets does. */
static int accept_on(lua_State *L, HttpServer *http, ServeSockets *sockets) {
  char where[1024];
  serve_sockets_describe(sockets, where, sizeof where);
  int rc = sockets->is_taken ? UV_EALREADY : http_server_accept_on(http, sockets->list, sockets->n);
  sockets->is_taken = true;
  if (!rc) return 0;
  return ml_error_return(L, "network", uv_err_name(rc), "cannot listen on %s: %s", where,
                         uv_strerror(rc));
}

/* listen(router, host | nil, port | nil, limits [, where]) -> server | nil, err: serves until it
   is stopped. `limits` is a table of the limits that differ from the default, by their names in
   http_limits. `where`: a list of addresses instead of host and port, as listen_address_read takes
   them, or true: the sockets that the command line has opened. */
static int l_listen(lua_State *L) {
  lua_settop(L, 5);
  ServeSockets own = {.n = 0}, *sockets = &own;
  WebServer *server = new_server(L, 4);
  if (!can_http2(L, &server->http) || !web_server_tls_open(L, 4, server)) return 2;
  HttpServer *http = &server->http;
  int failed = 0;
  if (lua_isboolean(L, 5)) {
    Supervised *supervised = supervised_of(L);
    if (supervised) http->share = &supervised->share;
    sockets = sockets_of(L);
    if (!sockets) return luaL_argerror(L, 5, "there are no sockets of the command line");
  } else {
    failed = bind_sockets(L, &own, http->rt);
  }
  if (!failed) failed = web_server_tls_sockets(L, server, sockets);
  if (!failed) failed = accept_on(L, http, sockets);
  if (failed) return failed;
  start_server(L, server);
  return 1;
}

/* listen_problem(text) -> nil, or what is wrong with the text of an address */
static int l_listen_problem(lua_State *L) {
  size_t n;
  ListenAddress address;
  const char *text = luaL_checklstring(L, 1, &n);
  const char *wrong = listen_address_read(text, n, &address);
  if (!wrong && address.kind == LISTEN_NAMED) wrong = "fd: takes the number of a descriptor";
  lua_pushstring(L, wrong);
  return 1;
}

/* serve_in_memory(router, limits, failures | nil) -> server: serves without a socket the clients of
   this process whose pools are made with this server (bindings/http/client.c). The failures of
   requests, with which nothing else is done, are put into the table `failures`: see
   web_server_keep_failure. */
static int l_serve_in_memory(lua_State *L) {
  lua_settop(L, 3);
  WebServer *server = new_server(L, 2);
  if (http_server_accept_in_memory(&server->http)) return luaL_error(L, "not enough memory");
  if (!lua_isnil(L, 3)) {
    lua_pushvalue(L, 3);
    server->failures = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  start_server(L, server);
  return 1;
}

bool web_server_keep_failure(lua_State *L, const HttpConnection *c, int index, const char *place,
                             const char *traceback, bool is_answer) {
  const WebServer *server = (const WebServer *)c->server;
  if (server->failures == LUA_NOREF) return false;
  if (is_answer) return true;
  if (c->phase == PHASE_ANSWERED && !c->stream) return false; /* the client has its response */
  lua_Integer request = (lua_Integer)memory_end_request(c->bytes.pipe, c->ended);
  index = lua_absindex(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, server->failures);
  bool is_first = lua_rawgeti(L, -1, request) == LUA_TNIL;
  lua_pop(L, 1);
  if (is_first) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    lua_pushfstring(L, "%s%s%s", place, traceback ? ":\n" : "", traceback ? traceback : "");
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, request);
  }
  lua_pop(L, 1);
  return is_first;
}

/* server:route_by(router), called once: requests go to this router from now on. The old router is
   kept for those that are still running. */
static int l_server_route_by(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  const HttpRouter *router = web_check_router(L, 2);
  if (server->is_over || server->first_router != LUA_NOREF)
    return luaL_error(L, "the server has ended, or already has its router");
  lua_settop(L, 2);
  server->first_router = server->router;
  server->router = luaL_ref(L, LUA_REGISTRYINDEX);
  server->http.router = router;
  return 0;
}

/* server:read_certificates() -> true | false | nil, err: see web_server_tls_read. */
static int l_server_read_certificates(lua_State *L) {
  return web_server_tls_read(L, web_server_check(L, 1));
}

lua_Number web_server_drain(const WebServer *server) {
  uint64_t ms = server->http.limits.drain;
  return ms == HTTP_NO_LIMIT ? HUGE_VAL : 1e-3 * (double)ms;
}

/* Pushes a list of where the server listens. */
static void push_addresses(lua_State *L, const HttpServer *http) {
  char where[LISTEN_NAME_MAX];
  lua_newtable(L);
  for (const HttpListener *l = http->listeners; l; l = l->next) {
    listen_describe(&l->socket, where, sizeof where);
    lua_pushstring(L, where);
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
}

/* server.memory: the MemoryPort of one without a socket; server.port; server.addresses: where it
   listens; server.drain: that limit in seconds; server.connections, server.requests, server.tasks
   (handlers, and tasks they have started): counts. */
static int l_server_index(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (!strcmp(key, "port")) {
    if (server->http.port)
      lua_pushinteger(L, server->http.port);
    else
      lua_pushnil(L);
  } else if (!strcmp(key, "addresses")) {
    push_addresses(L, &server->http);
  } else if (!strcmp(key, "drain")) {
    lua_pushnumber(L, web_server_drain(server));
  } else if (!strcmp(key, "connections")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_connections);
  } else if (!strcmp(key, "tasks")) {
    lua_pushinteger(L, (lua_Integer)server->tasks.count);
  } else if (!strcmp(key, "requests")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_requests);
  } else if (!strcmp(key, "memory")) {
    lua_pushlightuserdata(L, &server->http.memory);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

void web_server_open(lua_State *L, Web *web) {
  static const luaL_Reg methods[] = {{"route_by", l_server_route_by},
                                     {"read_certificates", l_server_read_certificates},
                                     {"log", l_server_log},
                                     {"take_entries", l_server_take_entries},
                                     {NULL, NULL}};
  luaL_newmetatable(L, WEB_SERVER);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  web_server_end_open(L);
  lua_pushcclosure(L, l_server_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_server_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_listen, 1);
  lua_setfield(L, -2, "listen");
  lua_pushcfunction(L, l_listen_problem);
  lua_setfield(L, -2, "listen_problem");
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_serve_in_memory, 1);
  lua_setfield(L, -2, "serve_in_memory");
  lua_pushcfunction(L, l_limit);
  lua_setfield(L, -2, "limit");
  lua_pushcfunction(L, l_is_proxy);
  lua_setfield(L, -2, "is_proxy");
  lua_pushcfunction(L, l_limit_names);
  lua_setfield(L, -2, "limit_names");
}
