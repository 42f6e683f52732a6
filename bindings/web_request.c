/* The request object that handlers get. It owns a copy of the request's head, so it stays valid for
   as long as a script keeps it, and makes its fields when they are first asked for. */
#include "web.h"

#include "json.h"
#include "transfer.h"
#include "url.h"
#include <arpa/inet.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

typedef struct WebRequest {
  uint64_t number;
  HttpPeer peer;
  HttpSpan path, query, headers; /* in `head` */
  uint16_t allowed;              /* RouteMatch.allowed */
  uint8_t method;
  bool path_escaped;
  char head[];
} WebRequest;

/* User values of the userdata: made when first asked for; FIELDS is what scripts set. */
enum {
  VALUE_BODY = WEB_REQUEST_BODY,
  VALUE_PARAMS,
  VALUE_QUERY,
  VALUE_HEADERS,
  VALUE_CLIENT,
  VALUE_FIELDS,
  VALUES = VALUE_FIELDS
};

/* What the table of names (upvalue 1 of __index) has for fields; for methods it has functions, or
   the names of the modules that have them, which are loaded when they are first asked for. */
enum {
  FIELD_METHOD = 1,
  FIELD_PATH,
  FIELD_PARAMS,
  FIELD_QUERY,
  FIELD_HEADERS,
  FIELD_BODY,
  FIELD_CLIENT,
  FIELD_ID
};

static WebRequest *check_request(lua_State *L) { return luaL_checkudata(L, 1, WEB_REQUEST); }

/* The same for __index, whose upvalue 2 is the metatable's address: without a lookup by name. */
static WebRequest *check_indexed(lua_State *L) {
  if (!lua_getmetatable(L, 1) || lua_topointer(L, -1) != lua_touserdata(L, lua_upvalueindex(2)))
    return check_request(L);
  lua_pop(L, 1);
  return lua_touserdata(L, 1);
}

/* --- making it --- */

static void push_decoded(lua_State *L, const char *text, size_t n, bool plus) {
  if (!memchr(text, '%', n) && !(plus && memchr(text, '+', n))) {
    lua_pushlstring(L, text, n);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  long decoded = url_decode(out, text, n, plus);
  luaL_pushresultsize(&b, decoded < 0 ? 0 : (size_t)decoded); /* was checked: never negative */
}

static void push_param(lua_State *L, ParamKind kind, const char *text, size_t n) {
  push_decoded(L, text, n, false);
  if (kind != PARAM_INT && kind != PARAM_NUMBER) return;
  lua_stringtonumber(L, lua_tostring(L, -1)); /* the router has checked its form */
  if (kind == PARAM_NUMBER) {
    lua_pushnumber(L, lua_tonumber(L, -1));
    lua_replace(L, -2);
  }
  lua_replace(L, -2);
}

static void push_params(lua_State *L, const HttpConnection *c) {
  const Route *route = c->match.route;
  const char *path = http_request_head(&c->request) + c->request.path.at;
  lua_createtable(L, 0, (int)route->n_params);
  for (unsigned i = 0; i < route->n_params; i++) {
    const RouteCapture *capture = &c->match.captures[i];
    push_param(L, route->params[i].kind, path + capture->at, capture->len);
    lua_setfield(L, -2, route->params[i].name);
  }
}

void web_request_push(lua_State *L, const Web *web, HttpConnection *c) {
  HttpRequest *r = &c->request;
  uint32_t from = r->target.at, size = r->headers.at + r->headers.len - from;
  WebRequest *req = lua_newuserdatauv(L, sizeof *req + size, VALUES);
  req->number = c->number;
  req->peer = c->peer;
  req->path = (HttpSpan){r->path.at - from, r->path.len};
  req->query = (HttpSpan){r->query.at - from, r->query.len};
  req->headers = (HttpSpan){r->headers.at - from, r->headers.len};
  req->allowed = (uint16_t)c->match.allowed;
  req->method = r->method;
  req->path_escaped = r->path_escaped;
  memcpy(req->head, http_request_head(r) + from, size);
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->request_metatable);
  lua_setmetatable(L, -2);
  if (c->body) {
    web_body_push(L, c);
    lua_setiuservalue(L, -2, VALUE_BODY);
  } else if (r->body.len) {
    lua_pushlstring(L, r->body.data, r->body.len);
    lua_setiuservalue(L, -2, VALUE_BODY);
    buffer_pool_give(r->pool, &r->body); /* not twice while the handler runs */
  }
  if (c->match.route->n_params) {
    push_params(L, c);
    lua_setiuservalue(L, -2, VALUE_PARAMS);
  }
}

/* --- its fields --- */

static void push_query(lua_State *L, const WebRequest *req) {
  const char *query = req->head + req->query.at;
  size_t n = req->query.len;
  UrlPair pair;
  lua_createtable(L, 0, n ? 2 : 0);
  while (url_query_next(&query, &n, &pair)) { /* of equal names the last one stands */
    push_decoded(L, pair.name, pair.name_len, true);
    push_decoded(L, pair.value, pair.value_len, true);
    lua_rawset(L, -3);
  }
}

/* Pushes the text in lower case. */
static void push_lower(lua_State *L, const char *text, size_t n) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
  }
  luaL_pushresultsize(&b, n);
}

/* headers[name], whatever the case of the name. */
static int headers_index(lua_State *L) {
  size_t n;
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tolstring(L, 2, &n);
  push_lower(L, name, n);
  lua_rawget(L, 1);
  return 1;
}

static void set_headers_metatable(lua_State *L) {
  if (luaL_newmetatable(L, "moonloop.web.core.headers")) {
    lua_pushcfunction(L, headers_index);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
}

void web_header_lines_push(lua_State *L, const char *lines, size_t n) {
  HttpHeader h;
  lua_createtable(L, 0, 8);
  while (http_header_next(&lines, &n, &h)) {
    push_lower(L, h.name, h.name_len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushlstring(L, h.value, h.value_len);
    } else {
      lua_pushstring(L, http_name_is(h.name, h.name_len, "cookie") ? "; " : ", ");
      lua_pushlstring(L, h.value, h.value_len);
      lua_concat(L, 3);
    }
    lua_rawset(L, -3);
  }
  set_headers_metatable(L);
}

static void push_headers(lua_State *L, const WebRequest *req) {
  web_header_lines_push(L, req->head + req->headers.at, req->headers.len);
}

static int client_tostring(lua_State *L) {
  lua_getfield(L, 1, "host");
  lua_getfield(L, 1, "port");
  lua_pushfstring(L, "%s:%s", luaL_checkstring(L, -2), luaL_checkstring(L, -1));
  return 1;
}

static void set_client_metatable(lua_State *L) {
  if (luaL_newmetatable(L, "moonloop.web.core.client")) {
    lua_pushcfunction(L, client_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

/* {host = "127.0.0.1", port = 54321} */
static void push_client(lua_State *L, const WebRequest *req) {
  char host[INET6_ADDRSTRLEN] = "";
  bool v6 = req->peer.any.sa_family == AF_INET6;
  if (v6)
    inet_ntop(AF_INET6, &req->peer.v6.sin6_addr, host, sizeof host);
  else
    inet_ntop(AF_INET, &req->peer.v4.sin_addr, host, sizeof host);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, host);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, ntohs(v6 ? req->peer.v6.sin6_port : req->peer.v4.sin_port));
  lua_setfield(L, -2, "port");
  set_client_metatable(L);
}

static void push_path(lua_State *L, const WebRequest *req) {
  push_decoded(L, req->head + req->path.at, req->path.len, false);
}

/* What the script set, or what was made before. False: nothing is pushed. */
static bool push_kept(lua_State *L, int key) {
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) == LUA_TTABLE) {
    lua_pushvalue(L, key);
    if (lua_rawget(L, -2) != LUA_TNIL) return true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* Pushes the table of the user value `slot`, made by `make` when it is first asked for: what a
   script writes into it stays. */
static void push_table(lua_State *L, const WebRequest *req, int slot,
                       void (*make)(lua_State *L, const WebRequest *req)) {
  if (lua_getiuservalue(L, 1, slot) == LUA_TTABLE) return;
  lua_pop(L, 1);
  make(L, req);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, slot);
}

/* A request whose route has parameters has them from the start. */
static void push_no_params(lua_State *L, const WebRequest *req) {
  (void)req;
  lua_newtable(L);
}

/* The method of the name at 2 is a function of the module that is named on the top: replaces the
   module's name by it, there and in the table of names. */
static void load_method(lua_State *L) {
  lua_getglobal(L, "require");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_gettable(L, -2);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
}

static int request_index(lua_State *L);

static int body_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  lua_settop(L, 2);
  return request_index(L);
}

static const WaitType body_wait = {.name = "a request's body",
                                   .cancel = web_body_cancel,
                                   .finish = body_finish,
                                   .revoke = web_body_revoke};

/* req[key]. `body` suspends until all of it is there. */
static int request_index(lua_State *L) {
  const WebRequest *req = check_indexed(L);
  if (push_kept(L, 2)) return 1;
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(1));
  if (type == LUA_TSTRING) load_method(L);
  if (type != LUA_TNUMBER) return 1; /* a method, or nil */
  switch (lua_tointeger(L, -1)) {
  case FIELD_METHOD:
    lua_pushstring(L, llhttp_method_name((llhttp_method_t)req->method));
    break;
  case FIELD_PATH:
    push_path(L, req);
    break;
  case FIELD_PARAMS:
    push_table(L, req, VALUE_PARAMS, push_no_params);
    break;
  case FIELD_QUERY:
    push_table(L, req, VALUE_QUERY, push_query);
    break;
  case FIELD_HEADERS:
    push_table(L, req, VALUE_HEADERS, push_headers);
    break;
  case FIELD_BODY:
    web_body_push_whole(L, "req.body", &body_wait);
    break;
  case FIELD_CLIENT:
    push_table(L, req, VALUE_CLIENT, push_client);
    break;
  case FIELD_ID:
    lua_pushinteger(L, (lua_Integer)req->number);
    break;
  }
  return 1;
}

/* Scripts may add fields, and replace those that are there. */
static int request_newindex(lua_State *L) {
  check_request(L);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "the key is nil");
  lua_settop(L, 3);
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) != LUA_TTABLE) {
    lua_settop(L, 3);
    lua_newtable(L);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, 1, VALUE_FIELDS);
  }
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

bool web_request_title(lua_State *L, int index, char *text, size_t size) {
  const WebRequest *req = luaL_testudata(L, index, WEB_REQUEST);
  if (!req) return false;
  snprintf(text, size, "%s %.*s", llhttp_method_name((llhttp_method_t)req->method),
           (int)(req->path.len < 120 ? req->path.len : 120), req->head + req->path.at);
  return true;
}

int web_request_allowed(lua_State *L) {
  char allow[80];
  router_allow(check_request(L)->allowed, allow);
  if (!*allow) return 0;
  lua_pushstring(L, allow);
  return 1;
}

static int request_tostring(lua_State *L) {
  check_request(L);
  lua_settop(L, 1);
  lua_getfield(L, 1, "id");
  lua_getfield(L, 1, "method");
  lua_getfield(L, 1, "path");
  for (int i = 2; i <= 4; i++) luaL_tolstring(L, i, NULL); /* a script may have replaced them */
  lua_pushfstring(L, "request %s: %s %s", lua_tostring(L, 5), lua_tostring(L, 6),
                  lua_tostring(L, 7));
  return 1;
}

static int request_json(lua_State *L);

static int json_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return request_json(L);
}

static const WaitType json_wait = {.name = "a request's body",
                                   .cancel = web_body_cancel,
                                   .finish = json_finish,
                                   .revoke = web_body_revoke};

/* Pushes what the script has put in the place of the request's body, or what came with it. */
static bool push_own_body(lua_State *L) {
  lua_settop(L, 1);
  lua_pushliteral(L, "body");
  return push_kept(L, 2);
}

/* req:json() -> value | nil, err. Suspends until the body is there. The error carries the status
   400, so that a handler that raises or returns it blames the client. */
static int request_json(lua_State *L) {
  check_request(L);
  if (!push_own_body(L)) web_body_push_whole(L, "req:json", &json_wait);
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  if (!text) return luaL_error(L, "req:json: the body is a %s", luaL_typename(L, -1));
  int results = json_decode_return(L, text, n);
  if (results == 2) {
    lua_pushinteger(L, 400);
    lua_setfield(L, -2, "status");
  }
  return results;
}

/* for chunk in req:chunks() do: the body as it comes, in strings. Suspends until there is more. A
   client that sends faster than the loop takes is held back. */
static int request_chunks(lua_State *L) {
  check_request(L);
  bool own = push_own_body(L);
  if (own)
    lua_replace(L, 2);
  else
    lua_settop(L, 1);
  return web_body_chunks(L);
}

/* --- crossing to an executor: as a table of its fields --- */

/* Copies the table on the top without its metatable. */
static void flatten(lua_State *L) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_replace(L, -2);
}

static int request_pack(lua_State *L) {
  static const char *const names[] = {"method", "path",   "params", "query", "headers",
                                      "body",   "client", "id",     NULL};
  check_request(L);
  lua_settop(L, 1);
  lua_newtable(L);
  for (int i = 0; names[i]; i++) {
    lua_getfield(L, 1, names[i]);
    if (!strcmp(names[i], "headers") || !strcmp(names[i], "client")) flatten(L);
    lua_setfield(L, 2, names[i]);
  }
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) == LUA_TTABLE) { /* and what the script added */
    lua_pushnil(L);
    while (lua_next(L, 3)) {
      lua_pushvalue(L, -2);
      if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -3);
        lua_rawset(L, 2);
      }
      lua_pop(L, 2);
    }
  }
  lua_settop(L, 2);
  return 1;
}

static int request_unpack(lua_State *L) {
  lua_settop(L, 1);
  WebRequest *req = lua_newuserdatauv(L, sizeof *req, VALUES);
  memset(req, 0, sizeof *req);
  luaL_setmetatable(L, WEB_REQUEST);
  if (lua_getfield(L, 1, "headers") == LUA_TTABLE) set_headers_metatable(L);
  if (lua_getfield(L, 1, "client") == LUA_TTABLE) set_client_metatable(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, VALUE_FIELDS);
  return 1;
}

void web_request_open(lua_State *L) {
  static const char *const fields[] = {"method", "path",   "params", "query", "headers",
                                       "body",   "client", "id",     NULL};
  luaL_newmetatable(L, WEB_REQUEST);
  lua_newtable(L);
  for (int i = 0; fields[i]; i++) { /* in the order of FIELD_METHOD, ... */
    lua_pushinteger(L, FIELD_METHOD + i);
    lua_setfield(L, -2, fields[i]);
  }
  lua_pushcfunction(L, request_json);
  lua_setfield(L, -2, "json");
  lua_pushcfunction(L, request_chunks);
  lua_setfield(L, -2, "chunks");
  static const char *const parts[][2] = {{"form", "moonloop.web.form"},
                                         {"parts", "moonloop.web.form"},
                                         {"cookies", "moonloop.web.cookie"},
                                         {"signed_cookie", "moonloop.web.cookie"}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    lua_pushstring(L, parts[i][1]);
    lua_setfield(L, -2, parts[i][0]);
  }
  lua_pushlightuserdata(L, (void *)lua_topointer(L, -2));
  lua_pushcclosure(L, request_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, request_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, request_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  transfer_register(L, WEB_REQUEST, request_pack, request_unpack);
}
