/* The request object that handlers get. It owns a copy of the request's head, so it stays valid for
   as long as a script keeps it, and makes its fields when they are first asked for. */
#include "web_request.h"

#include "json.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

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

/* The same for functions whose upvalue `address` is the metatable's: without a lookup by name. */
static WebRequest *check_by_address(lua_State *L, int address) {
  if (!lua_getmetatable(L, 1) || lua_topointer(L, -1) != lua_touserdata(L, address))
    return check_request(L);
  lua_pop(L, 1);
  return lua_touserdata(L, 1);
}

/* --- making it --- */

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
    http_request_give(r, &r->body); /* not twice while the handler runs */
  }
  if (c->match.route->n_params) {
    web_request_push_params(L, c);
    lua_setiuservalue(L, -2, VALUE_PARAMS);
  }
}

/* --- its fields --- */

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
  const WebRequest *req = check_by_address(L, lua_upvalueindex(2));
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
    web_request_push_path(L, req);
    break;
  case FIELD_PARAMS:
    push_table(L, req, VALUE_PARAMS, push_no_params);
    break;
  case FIELD_QUERY:
    push_table(L, req, VALUE_QUERY, web_request_push_query);
    break;
  case FIELD_HEADERS:
    push_table(L, req, VALUE_HEADERS, web_request_push_headers);
    break;
  case FIELD_BODY:
    web_body_push_whole(L, "req.body", &body_wait);
    break;
  case FIELD_CLIENT:
    push_table(L, req, VALUE_CLIENT, web_request_push_client);
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
  check_by_address(L, lua_upvalueindex(1));
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

void web_request_open(lua_State *L) {
  static const char *const fields[] = {"method", "path",   "params", "query", "headers",
                                       "body",   "client", "id",     NULL};
  luaL_newmetatable(L, WEB_REQUEST);
  lua_newtable(L);
  for (int i = 0; fields[i]; i++) { /* in the order of FIELD_METHOD, ... */
    lua_pushinteger(L, FIELD_METHOD + i);
    lua_setfield(L, -2, fields[i]);
  }
  lua_pushlightuserdata(L, (void *)lua_topointer(L, -2));
  lua_pushcclosure(L, request_json, 1);
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
  web_request_transfer_open(L);
}
