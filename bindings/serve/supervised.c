/* moonloop.supervised: a worker process and its supervisor, for `moonloop serve`. If number() is
   nil, loads and ready must not be called. */
#include "serve/supervised.h"
#include "bindings/serve/open.h"
#include "serve/metrics_listener.h"

/* number() -> the number of this worker process, from 1 | nil in other processes */
static int l_number(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  const Supervised *s = lua_touserdata(L, -1);
  if (!s) return 0;
  lua_pushinteger(L, s->number);
  return 1;
}

/* loads(path): this worker is about to read code from that file. */
static int l_loads(lua_State *L) {
  supervised_say_file(luaL_checkstring(L, 1));
  return 0;
}

/* ready(drain): this worker is serving; it takes at most `drain` seconds to end cleanly. */
static int l_ready(lua_State *L) {
  supervised_say_ready(luaL_checknumber(L, 1));
  return 0;
}

/* shows(text) -> is it another text about the app than the last worker's? */
static int l_shows(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  lua_pushboolean(L, supervised_shows(lua_touserdata(L, -1), text, n));
  return 1;
}

static ServeSockets *sockets_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SERVE_SOCKETS_KEY);
  return lua_touserdata(L, -1);
}

/* inspects() -> boolean: is there an inspector() to start? */
static int l_inspects(lua_State *L) {
  const ServeSockets *sockets = sockets_of(L);
  lua_pushboolean(L, sockets && sockets->inspect.is_open);
  return 1;
}

/* inspector() -> descriptor, address of the page, secret | nil: the listening socket that the
   command line has opened for the inspector. From the first call on it belongs to the caller. */
static int l_inspector(lua_State *L) {
  char where[LISTEN_NAME_MAX + INSPECT_TOKEN + 8];
  ServeSockets *sockets = sockets_of(L);
  if (!sockets || !sockets->inspect.is_open) return 0;
  inspect_socket_describe(&sockets->inspect, where, sizeof where);
  sockets->inspect.is_open = false;
  lua_pushinteger(L, sockets->inspect.socket.fd);
  lua_pushstring(L, where);
  lua_pushstring(L, sockets->inspect.token);
  return 3;
}

/* metrics() -> the URL at which --metrics shows them | nil */
static int l_metrics(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, METRICS_LISTENER_KEY);
  const MetricsListener *listener = lua_touserdata(L, -1);
  if (!listener || !*listener->where) return 0;
  lua_pushstring(L, listener->where);
  return 1;
}

int luaopen_moonloop_supervised(lua_State *L) {
  static const luaL_Reg functions[] = {{"number", l_number},       {"loads", l_loads},
                                       {"ready", l_ready},         {"shows", l_shows},
                                       {"inspector", l_inspector}, {"inspects", l_inspects},
                                       {"metrics", l_metrics},     {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
