/* moonloop.service: what `moonloop serve` without workers tells the service manager. Nobody is told
   anything where there is none. */
#include "serve/service.h"
#include "bindings/serve/open.h"

#include <lauxlib.h>

static Service *service_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SERVICE_KEY);
  Service *service = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return service;
}

/* ready(status): it serves. */
static int l_ready(lua_State *L) {
  const char *status = luaL_checkstring(L, 1);
  Service *service = service_of(L);
  if (service) service_ready(service, status);
  return 0;
}

/* reloading(): it is about to take new certificates; ready has to follow. */
static int l_reloading(lua_State *L) {
  Service *service = service_of(L);
  if (service) service_reloading(service);
  return 0;
}

/* stopping(status): it is about to end. */
static int l_stopping(lua_State *L) {
  const char *status = luaL_checkstring(L, 1);
  Service *service = service_of(L);
  if (service) service_stopping(service, status);
  return 0;
}

int luaopen_moonloop_service(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"ready", l_ready}, {"reloading", l_reloading}, {"stopping", l_stopping}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
