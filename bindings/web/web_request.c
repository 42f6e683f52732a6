/* The request object that handlers get. It owns a copy of the request's head, so it stays valid for
   as long as a script keeps it. Its fields are made on first use. */
#include "bindings/web/web_request.h"
#include "bindings/json/json_long.h"

#include "bindings/check.h"
#include "bindings/options.h"
#include "bindings/tls_agreed.h"
#include "bindings/value_or_error.h"
#include "core/script_place.h"
#include "http/server/http_handler.h"
#include "json/json.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* The values of fields in the table of names (upvalue 1 of __index). Methods have functions there,
   or the names of the modules that define them, which are loaded on first use. */
enum {
  FIELD_METHOD = 1,
  FIELD_PATH,
  FIELD_PARAMS,
  FIELD_QUERY,
  FIELD_HEADERS,
  FIELD_BODY,
  FIELD_CLIENT,
  FIELD_ID,
  FIELD_TARGET,
  FIELD_QUERY_STRING,
  FIELD_HOST,
  FIELD_URL,
  FIELD_SCHEME,
  FIELD_ROOT_PATH,
  FIELD_SESSION,
  FIELD_VALID,
  FIELD_TLS
};

/* The key, in the table of fields, of the function that loads the session. */
static const char session_key = 0;

static WebRequest *check_request(lua_State *L) { return check_self(L, WEB_REQUEST); }

/* The same for functions whose upvalue `address` is the metatable's address, without a lookup by
   name. */
static WebRequest *check_by_address(lua_State *L, int address) {
  if (!lua_getmetatable(L, 1) || lua_topointer(L, -1) != lua_touserdata(L, address))
    return check_request(L);
  lua_pop(L, 1);
  return lua_touserdata(L, 1);
}

/* --- making it --- */

/* What a trusted proxy has said of it. */
static void set_forwarded(WebRequest *req, const HttpForwarded *f, uint32_t from) {
  req->client = f->client;
  if (f->name.len) req->client_name = (HttpSpan){f->name.at - from, f->name.len};
  if (f->host.len) req->forwarded_host = (HttpSpan){f->host.at - from, f->host.len};
  req->forwarded_port = f->port;
  if (f->scheme != HTTP_SCHEME_UNSAID) req->is_https = f->scheme == HTTP_SCHEME_HTTPS;
}

void web_request_push(lua_State *L, const Web *web, HttpConnection *c) {
  HttpRequest *r = &c->request;
  const HttpServer *server = c->server;
  uint32_t from = r->target.at, size = r->headers.at + r->headers.len - from;
  WebRequest *req = lua_newuserdatauv(L, sizeof *req + size + server->root_path_len, VALUES);
  req->max_values = c->server->limits.max_values;
  req->number = c->number;
  req->client = c->peer;
  req->client_name.len = req->forwarded_host.len = req->forwarded_port = 0;
  req->root_at = size;
  req->root_len = (uint16_t)server->root_path_len;
  req->is_https = c->bytes.tls_context != NULL;
  if (server->root_path_len) memcpy(req->head + size, server->root_path, server->root_path_len);
  if (c->forwarded) set_forwarded(req, c->forwarded, from);
  req->path = (HttpSpan){r->path.at - from, r->path.len};
  req->query = (HttpSpan){r->query.at - from, r->query.len};
  req->headers = (HttpSpan){r->headers.at - from, r->headers.len - c->own_lines};
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

/* Pushes what the script set, or what was made before. False, with nothing pushed, if there is
   neither. */
static bool push_kept(lua_State *L, int key) {
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) == LUA_TTABLE) {
    lua_pushvalue(L, key);
    if (lua_rawget(L, -2) != LUA_TNIL) return true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* Pushes the table in the user value `slot`, made by `make` on first use, so that what a script
   writes into it stays. */
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

/* The method with the name at 2 is a function of the module named on the top. Replaces the module's
   name by the function, on the stack and in the table of names. */
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

static int l_request_index(lua_State *L);

static int body_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  lua_settop(L, 2);
  return l_request_index(L);
}

static const WaitType body_wait = {.name = "a request's body",
                                   .cancel = web_body_cancel,
                                   .finish = body_finish,
                                   .revoke = web_body_revoke};

/* The session that the loader returned is on the top. */
static int session_loaded(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  if (lua_isnil(L, -1)) return 1;
  int session = lua_gettop(L);
  if (push_kept(L, 2)) return 1; /* the script has set one meanwhile */
  lua_getiuservalue(L, 1, VALUE_FIELDS);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, session);
  lua_rawset(L, -3);
  lua_settop(L, session);
  return 1;
}

/* The session, if ml.web.sessions has set a function that loads it. */
static int load_session(lua_State *L) {
  lua_settop(L, 2);
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) != LUA_TTABLE) return 0;
  if (lua_rawgetp(L, 3, &session_key) == LUA_TNIL) return 1;
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, 0, session_loaded);
  return session_loaded(L, LUA_OK, 0);
}

static void push_fields(lua_State *L);

/* What the connection has agreed on, as long as it is there; kept from then on. */
static void push_tls(lua_State *L, const WebRequest *req) {
  const HttpConnection *c = web_tail_connection(L);
  const TlsSession *session = c && c->number == req->number ? http_connection_tls(c) : NULL;
  if (!session) {
    lua_pushnil(L);
    return;
  }
  tls_agreed_push(L, session);
  push_fields(L);
  lua_pushliteral(L, "tls");
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* req[key]. `body` suspends until all of it has arrived, `session` until it has been loaded. */
static int l_request_index(lua_State *L) {
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
  case FIELD_TARGET:
    web_request_push_target(L, req);
    break;
  case FIELD_QUERY_STRING:
    web_request_push_query_string(L, req);
    break;
  case FIELD_HOST:
    web_request_push_host(L, req);
    break;
  case FIELD_URL:
    web_request_push_url(L, req);
    break;
  case FIELD_SCHEME:
    web_request_push_scheme(L, req);
    break;
  case FIELD_ROOT_PATH:
    web_request_push_root_path(L, req);
    break;
  case FIELD_SESSION:
    return load_session(L);
  case FIELD_VALID:
    lua_getiuservalue(L, 1, VALUE_VALID);
    break;
  case FIELD_TLS:
    push_tls(L, req);
    break;
  }
  return 1;
}

/* Pushes the table of fields, made on first use. */
static void push_fields(lua_State *L) {
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, VALUE_FIELDS);
}

/* on_session(req [, f]) -> the function of the call before, the session that is there already:
   when a script reads req.session and there is none yet, f(req) returns it. It may suspend. If it
   returns nil, it is asked again the next time. */
int web_request_on_session(lua_State *L) {
  check_request(L);
  lua_settop(L, 2);
  push_fields(L);
  lua_rawgetp(L, 3, &session_key);
  lua_getfield(L, 3, "session");
  if (lua_isnil(L, 2)) return 2;
  lua_pushvalue(L, 2);
  lua_rawsetp(L, 3, &session_key);
  return 2;
}

/* Scripts may add and replace fields. */
static int l_request_newindex(lua_State *L) {
  check_request(L);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "the key is nil");
  lua_settop(L, 3);
  push_fields(L);
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
  http_router_allow(check_request(L)->allowed, allow);
  if (!*allow) return 0;
  lua_pushstring(L, allow);
  return 1;
}

static int l_request_tostring(lua_State *L) {
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

static int l_request_json(lua_State *L);

static int json_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return l_request_json(L);
}

static const WaitType json_wait = {.name = "a request's body",
                                   .cancel = web_body_cancel,
                                   .finish = json_finish,
                                   .revoke = web_body_revoke};

/* Pushes the value with which the script has replaced the request's body. The stack is cut to
   `top`. */
static bool push_own_body(lua_State *L, int top) {
  lua_settop(L, top);
  lua_pushliteral(L, "body");
  if (push_kept(L, top + 1)) return true;
  lua_settop(L, top);
  return false;
}

/* Does the options table of req:json at `index` leave `raise` true? */
static bool check_raise(lua_State *L, int index) {
  static const char *const names[] = {"raise"};
  if (lua_isnoneornil(L, index)) return true;
  options_check(L, index, "req:json", names, 1);
  bool given = lua_getfield(L, index, "raise") != LUA_TNIL;
  if (given && !lua_isboolean(L, -1))
    script_place_error(L, "option 'raise' of req:json is a %s (expected boolean)",
                       luaL_typename(L, -1));
  bool raises = !given || lua_toboolean(L, -1);
  lua_pop(L, 1);
  return raises;
}

/* The value, or the error, is on the top. */
static int json_done(lua_State *L, bool ok) {
  if (ok) return 1;
  lua_pushinteger(L, 400);
  lua_setfield(L, -2, "status");
  return check_raise(L, 2) ? lua_error(L) : value_or_error(L, false);
}

/* req:json([{raise = false}]) -> value. Suspends until the body is there. Raises an error with the
   status 400 for a body that is not JSON, so that the client gets a 400 even if the handler does
   not check; with raise = false, returns nil and the error. */
static int l_request_json(lua_State *L) {
  check_by_address(L, lua_upvalueindex(1));
  bool own = push_own_body(L, 2);
  check_raise(L, 2); /* before anything is waited for */
  if (!own) web_body_push_whole(L, "req:json", &json_wait);
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  if (!text) return luaL_error(L, "req:json: the body is a %s", luaL_typename(L, -1));
  const WebRequest *req = lua_touserdata(L, 1);
  if (n > JSON_LONG) {
    JsonLongLimit limit = {req->max_values, web_json_hold};
    return json_long_decode(L, &limit, NULL, 0, SCHEMA_STRICT, json_done);
  }
  JsonError error;
  bool ok = web_json_admit(L, text, n, req->max_values, &error) && json_decode(L, text, n, &error);
  if (!ok) json_error_return(L, &error);
  return json_done(L, ok);
}

/* for chunk in req:chunks() do: the body as it comes, in strings. Suspends until there is more. A
   client that sends faster than the loop reads is held back. */
static int l_request_chunks(lua_State *L) {
  check_request(L);
  if (push_own_body(L, 1)) lua_replace(L, 2);
  return web_body_chunks(L);
}

void web_request_open(lua_State *L) {
  static const char *const fields[] = {
      "method",       "path", "params", "query",  "headers",   "body",    "client", "id",  "target",
      "query_string", "host", "url",    "scheme", "root_path", "session", "valid",  "tls", NULL};
  luaL_newmetatable(L, WEB_REQUEST);
  lua_newtable(L);
  for (int i = 0; fields[i]; i++) { /* in the order of FIELD_METHOD, ... */
    lua_pushinteger(L, FIELD_METHOD + i);
    lua_setfield(L, -2, fields[i]);
  }
  lua_pushlightuserdata(L, (void *)lua_topointer(L, -2));
  lua_pushcclosure(L, l_request_json, 1);
  lua_setfield(L, -2, "json");
  lua_pushcfunction(L, l_request_chunks);
  lua_setfield(L, -2, "chunks");
  static const char *const parts[][2] = {{"form", "moonloop.web.form"},
                                         {"parts", "moonloop.web.form"},
                                         {"after", "moonloop.web.tail"},
                                         {"cookies", "moonloop.web.cookie"},
                                         {"signed_cookie", "moonloop.web.cookie"}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    lua_pushstring(L, parts[i][1]);
    lua_setfield(L, -2, parts[i][0]);
  }
  lua_pushlightuserdata(L, (void *)lua_topointer(L, -2));
  web_request_push_query_class(L);
  lua_pushcclosure(L, l_request_index, WEB_REQUEST_QUERY_CLASS);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_request_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, l_request_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  web_request_transfer_open(L);
}
