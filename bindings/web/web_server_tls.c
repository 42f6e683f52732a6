/* TLS of the servers: certificates at the start, and read again later. */
#include "bindings/tls_options.h"
#include "bindings/web/web_server.h"
#include "http/http2_library.h"

#include <lauxlib.h>

/* HTTP/2 is offered if the library is there. */
static const char *const *protocols_of(const HttpServer *http) {
  static const char *const both[] = {"h2", "http/1.1", NULL};
  const char *error;
  return http->http2 != HTTP2_NONE && http2_library(&error) ? both : both + 1;
}

/* Reads the options at `index`, which are a copy nobody changes. False: nil and an error are
   pushed. */
static bool use(lua_State *L, int index, WebServer *server, bool reads_again) {
  TlsContext *context =
      tls_options_context(L, index, true, protocols_of(&server->http), reads_again);
  if (!context) return false;
  http_server_use_tls(&server->http, context);
  tls_context_release(context);
  return true;
}

bool web_server_tls_open(lua_State *L, int index, WebServer *server) {
  if (lua_getfield(L, index, "tls") == LUA_TNIL) {
    lua_pop(L, 1);
    return true;
  }
  tls_options_check(L, -1, true, "tls");
  if (!use(L, lua_gettop(L), server, false)) return false;
  server->tls = luaL_ref(L, LUA_REGISTRYINDEX);
  return true;
}

int web_server_tls_sockets(lua_State *L, WebServer *server, ServeSockets *sockets) {
  bool any = false, all = server->http.tls != NULL;
  for (unsigned i = 0; i < sockets->n; i++) any |= sockets->list[i].tls;
  if (any && !all) {
    serve_sockets_close(sockets);
    return ml_error_return(L, "tls", NULL,
                           "an address with ,tls needs a certificate: the option tls");
  }
  for (unsigned i = 0; i < sockets->n; i++)
    sockets->list[i].tls |= all && !any && !sockets->list[i].redirects;
  return 0;
}

int web_server_tls_read(lua_State *L, WebServer *server) {
  if (server->is_over || server->tls == LUA_NOREF) return lua_pushboolean(L, 0), 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, server->tls);
  if (!use(L, lua_gettop(L), server, true)) return 2;
  return lua_pushboolean(L, 1), 1;
}
