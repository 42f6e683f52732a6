/* What the fields of a request object are made of. */
#include "web_request.h"

#include "url.h"
#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

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

void web_request_push_params(lua_State *L, const HttpConnection *c) {
  const Route *route = c->match.route;
  const char *path = http_request_head(&c->request) + c->request.path.at;
  lua_createtable(L, 0, (int)route->n_params);
  for (unsigned i = 0; i < route->n_params; i++) {
    const RouteCapture *capture = &c->match.captures[i];
    push_param(L, route->params[i].kind, path + capture->at, capture->len);
    lua_setfield(L, -2, route->params[i].name);
  }
}

void web_request_push_query(lua_State *L, const WebRequest *req) {
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

void web_request_set_headers_metatable(lua_State *L) {
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
  web_request_set_headers_metatable(L);
}

void web_request_push_headers(lua_State *L, const WebRequest *req) {
  web_header_lines_push(L, req->head + req->headers.at, req->headers.len);
}

static int client_tostring(lua_State *L) {
  lua_getfield(L, 1, "host");
  lua_getfield(L, 1, "port");
  lua_pushfstring(L, "%s:%s", luaL_checkstring(L, -2), luaL_checkstring(L, -1));
  return 1;
}

void web_request_set_client_metatable(lua_State *L) {
  if (luaL_newmetatable(L, "moonloop.web.core.client")) {
    lua_pushcfunction(L, client_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

/* {host = "127.0.0.1", port = 54321} */
void web_request_push_client(lua_State *L, const WebRequest *req) {
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
  web_request_set_client_metatable(L);
}

void web_request_push_path(lua_State *L, const WebRequest *req) {
  push_decoded(L, req->head + req->path.at, req->path.len, false);
}
