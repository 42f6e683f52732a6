/* Makes the fields of a request object. */
#include "bindings/repeated.h"
#include "bindings/web/web_request.h"

#include "base/url.h"
#include "base/utf8.h"
#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

/* Pushes a piece of a path, whose escapes have been checked. */
static void push_decoded(lua_State *L, const char *text, size_t n) {
  if (!memchr(text, '%', n)) {
    lua_pushlstring(L, text, n);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  long decoded = url_decode(out, text, n, false);
  luaL_pushresultsize(&b, decoded < 0 ? 0 : (size_t)decoded); /* was checked: never negative */
}

void web_request_push_utf8(lua_State *L, const char *text, size_t n) {
  size_t run = utf8_run(text, n);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (;;) {
    luaL_addlstring(&b, text, run);
    text += run;
    n -= run;
    if (!n) break;
    unsigned broken = utf8_broken_length((const unsigned char *)text, n);
    luaL_addstring(&b, UTF8_REPLACEMENT);
    text += broken;
    n -= broken;
    run = utf8_run(text, n);
  }
  luaL_pushresult(&b);
}

static void push_param(lua_State *L, ParamKind kind, const char *text, size_t n) {
  push_decoded(L, text, n);
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

void web_request_push_lower(lua_State *L, const char *text, size_t n) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
  }
  luaL_pushresultsize(&b, n);
}

/* headers[name], with the name in any case. */
static int l_headers_index(lua_State *L) {
  size_t n;
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tolstring(L, 2, &n);
  web_request_push_lower(L, name, n);
  lua_rawget(L, 1);
  return 1;
}

void web_request_set_headers_metatable(lua_State *L) {
  if (luaL_newmetatable(L, "moonloop.web.core.headers")) {
    lua_pushcfunction(L, l_headers_index);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
}

static inline void push_value(lua_State *L, const HttpHeader *h, bool is_ascii) {
  if (is_ascii)
    lua_pushlstring(L, h->value, h->value_len);
  else
    web_request_push_utf8(L, h->value, h->value_len);
}

void web_header_lines_push(lua_State *L, const char *lines, size_t n) {
  HttpHeader h;
  bool is_ascii = utf8_is_ascii(lines, n);
  lua_createtable(L, 0, 8);
  int table = lua_gettop(L);
  lua_pushnil(L);
  while (http_header_next(&lines, &n, &h)) {
    web_request_push_lower(L, h.name, h.name_len);
    push_value(L, &h, is_ascii);
    repeated_set(L, table);
  }
  repeated_join(L, table);
  web_request_set_headers_metatable(L);
}

void web_request_push_headers(lua_State *L, const WebRequest *req) {
  web_header_lines_push(L, req->head + req->headers.at, req->headers.len);
}

static int l_client_tostring(lua_State *L) {
  lua_getfield(L, 1, "host");
  lua_getfield(L, 1, "port");
  lua_pushfstring(L, "%s:%s", luaL_checkstring(L, -2), luaL_checkstring(L, -1));
  return 1;
}

void web_request_set_client_metatable(lua_State *L) {
  if (luaL_newmetatable(L, "moonloop.web.core.client")) {
    lua_pushcfunction(L, l_client_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

static void push_client_host(lua_State *L, const WebRequest *req) {
  char host[INET6_ADDRSTRLEN] = "";
  if (req->client_name.len) {
    lua_pushlstring(L, req->head + req->client_name.at, req->client_name.len);
    return;
  }
  if (req->client.any.sa_family == AF_INET6)
    inet_ntop(AF_INET6, &req->client.v6.sin6_addr, host, sizeof host);
  else if (req->client.any.sa_family == AF_UNIX)
    strcpy(host, "unix");
  else
    inet_ntop(AF_INET, &req->client.v4.sin_addr, host, sizeof host);
  lua_pushstring(L, host);
}

/* {host = "127.0.0.1", port = 54321}. The host of one that has no address is "unix", or the name
   that its proxy gives it. */
void web_request_push_client(lua_State *L, const WebRequest *req) {
  in_port_t port = req->client.any.sa_family == AF_INET6  ? req->client.v6.sin6_port
                   : req->client.any.sa_family == AF_INET ? req->client.v4.sin_port
                                                          : 0;
  lua_createtable(L, 0, 2);
  push_client_host(L, req);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, ntohs(port));
  lua_setfield(L, -2, "port");
  web_request_set_client_metatable(L);
}

void web_request_push_path(lua_State *L, const WebRequest *req) {
  push_decoded(L, req->head + req->path.at, req->path.len);
}

void web_request_push_query_string(lua_State *L, const WebRequest *req) {
  lua_pushlstring(L, req->head + req->query.at, req->query.len);
}

/* The target, with which the head begins; "" for a request that came from another state. */
static size_t target_length(const WebRequest *req) {
  static const char version[] = " HTTP/1.1\r\n"; /* what separates it from the headers */
  return req->headers.at ? req->headers.at - (sizeof version - 1) : 0;
}

void web_request_push_target(lua_State *L, const WebRequest *req) {
  lua_pushlstring(L, req->head, target_length(req));
}

/* Where the path, or the query, of the target begins. */
static size_t authority_end(const WebRequest *req) {
  size_t n = target_length(req), at = 0;
  if (!n || *req->head == '/') return 0;
  while (at < n && req->head[at] != ':') at++;
  if (n - at < 3) return 0; /* "*" */
  for (at += 3; at < n && req->head[at] != '/' && req->head[at] != '?';) at++;
  return at;
}

/* Host and port as the client wrote them. A host in the target takes precedence (RFC 9112 section
   3.2.2). */
static void push_own_host(lua_State *L, const WebRequest *req) {
  size_t end = authority_end(req);
  if (end) {
    const char *host = (const char *)memchr(req->head, ':', end) + 3;
    lua_pushlstring(L, host, (size_t)(req->head + end - host));
    return;
  }
  const char *lines = req->head + req->headers.at;
  size_t n = req->headers.len;
  HttpHeader h;
  while (http_header_next(&lines, &n, &h))
    if (http_header_is(h.name, h.name_len, "host")) {
      lua_pushlstring(L, h.value, h.value_len);
      return;
    }
  lua_pushnil(L);
}

/* Is there a port in "host", "host:port", "[::1]" or "[::1]:port"? */
static bool has_port(const char *host, size_t n) {
  const char *colon = memrchr(host, ':', n);
  return colon && host[n - 1] != ']';
}

/* What a trusted proxy says comes first. */
void web_request_push_host(lua_State *L, const WebRequest *req) {
  size_t n;
  if (req->forwarded_host.len)
    lua_pushlstring(L, req->head + req->forwarded_host.at, req->forwarded_host.len);
  else
    push_own_host(L, req);
  uint16_t port = req->forwarded_port;
  const char *host = lua_tolstring(L, -1, &n);
  if (!host || !port || port == (req->is_https ? 443 : 80) || has_port(host, n)) return;
  lua_pushfstring(L, "%s:%d", host, (int)port);
}

void web_request_push_scheme(lua_State *L, const WebRequest *req) {
  lua_pushstring(L, req->is_https ? "https" : "http");
}

void web_request_push_root_path(lua_State *L, const WebRequest *req) {
  lua_pushlstring(L, req->head + req->root_at, req->root_len);
}

/* With a root path, or a host that a proxy has named, the target is not the end of the URL that
   the client has asked for. */
void web_request_push_url(lua_State *L, const WebRequest *req) {
  bool is_plain = !req->root_len && !req->forwarded_host.len;
  if (!target_length(req) || (is_plain && authority_end(req))) {
    web_request_push_target(L, req);
    return;
  }
  web_request_push_host(L, req);
  if (lua_isnil(L, -1) || *req->head == '*') {
    web_request_push_target(L, req);
    return;
  }
  luaL_Buffer b;
  int host = lua_gettop(L);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, req->is_https ? "https://" : "http://");
  lua_pushvalue(L, host);
  luaL_addvalue(&b);
  luaL_addlstring(&b, req->head + req->root_at, req->root_len);
  luaL_addlstring(&b, req->head + req->path.at, req->path.len);
  if (req->query.at && req->head[req->query.at - 1] == '?') luaL_addchar(&b, '?');
  luaL_addlstring(&b, req->head + req->query.at, req->query.len);
  luaL_pushresult(&b);
}
