/* Request objects cross to an executor as a table of their fields. */
#include "bindings/web/web_request.h"

#include "transfer/transfer.h"
#include <lauxlib.h>
#include <string.h>

/* Where that table has the limit of values, among the names. */
enum { MAX_VALUES = 1 };

/* Copies the table on the top without its metatable, and without what is under other keys than
   names: that is the host's. */
static void flatten(lua_State *L) {
  if (!lua_istable(L, -1)) return; /* a script has replaced it */
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    if (lua_type(L, -2) == LUA_TSTRING)
      lua_rawset(L, -4);
    else
      lua_pop(L, 2);
  }
  lua_replace(L, -2);
}

static int l_request_pack(lua_State *L) {
  static const char *const names[] = {
      "method",       "path", "params", "query",  "headers",   "body",  "client", "id", "target",
      "query_string", "host", "url",    "scheme", "root_path", "valid", "tls",    NULL};
  luaL_checkudata(L, 1, WEB_REQUEST);
  lua_settop(L, 1);
  lua_newtable(L);
  for (int i = 0; names[i]; i++) {
    lua_getfield(L, 1, names[i]);
    if (!strcmp(names[i], "headers") || !strcmp(names[i], "client") || !strcmp(names[i], "query") ||
        !strcmp(names[i], "valid"))
      flatten(L);
    lua_setfield(L, 2, names[i]);
  }
  if (lua_getiuservalue(L, 1, VALUE_FIELDS) ==
      LUA_TTABLE) { /* and the fields that the script added */
    lua_pushnil(L);
    while (lua_next(L, 3)) {
      if (lua_islightuserdata(L, -2)) { /* what loads the session stays here */
        lua_pop(L, 1);
        continue;
      }
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
  lua_pushinteger(L, (lua_Integer)((WebRequest *)lua_touserdata(L, 1))->max_values);
  lua_rawseti(L, 2, MAX_VALUES);
  return 1;
}

static int l_request_unpack(lua_State *L) {
  lua_settop(L, 1);
  WebRequest *req = lua_newuserdatauv(L, sizeof *req, VALUES);
  memset(req, 0, sizeof *req);
  luaL_setmetatable(L, WEB_REQUEST);
  lua_rawgeti(L, 1, MAX_VALUES);
  req->max_values = (uint64_t)lua_tointeger(L, -1);
  lua_pushnil(L);
  lua_rawseti(L, 1, MAX_VALUES);
  lua_settop(L, 2);
  if (lua_getfield(L, 1, "headers") == LUA_TTABLE) web_request_set_headers_metatable(L);
  if (lua_getfield(L, 1, "client") == LUA_TTABLE) web_request_set_client_metatable(L);
  lua_settop(L, 2);
  if (lua_getfield(L, 1, "query_string") == LUA_TSTRING &&
      lua_getfield(L, 1, "query") == LUA_TTABLE) {
    size_t n;
    const char *query = lua_tolstring(L, 3, &n);
    web_request_set_query_class(L, query, n);
  }
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, VALUE_FIELDS);
  return 1;
}

void web_request_transfer_open(lua_State *L) {
  transfer_register(L, WEB_REQUEST, l_request_pack, l_request_unpack);
}
