/* Request objects cross to an executor as a table of their fields. */
#include "web_request.h"

#include "transfer.h"
#include <lauxlib.h>
#include <string.h>

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
  luaL_checkudata(L, 1, WEB_REQUEST);
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
  if (lua_getfield(L, 1, "headers") == LUA_TTABLE) web_request_set_headers_metatable(L);
  if (lua_getfield(L, 1, "client") == LUA_TTABLE) web_request_set_client_metatable(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, VALUE_FIELDS);
  return 1;
}

void web_request_transfer_open(lua_State *L) {
  transfer_register(L, WEB_REQUEST, request_pack, request_unpack);
}
