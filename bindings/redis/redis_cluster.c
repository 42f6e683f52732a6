/* moonloop.redis.core: clusters.

   cluster(t) -> cluster
     An object with the methods given to index("cluster", methods). t: the table that `table`
     returns. Commands called on it call route(name, cluster, ...): see redis_call.c.
   slot(key) -> integer
     The slot of the key in a cluster, or of its {tag} if it has one.
   count(t, n) -> t
     Makes the table a list of n values, some of which may be nil. */
#include "bindings/class.h"
#include "bindings/redis/redis.h"
#include "redis/redis_slot.h"
#include "redis/redis_value.h"

int redis_cluster(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_newuserdatauv(L, 1, REDIS_KEEPS_TABLE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, REDIS_KEEPS_TABLE);
  luaL_setmetatable(L, REDIS_CLUSTER);
  return 1;
}

int redis_slot_of(lua_State *L) {
  size_t n;
  const char *key = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, redis_slot(key, n));
  return 1;
}

int redis_count(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_settop(L, 1);
  redis_value_count(L, n);
  return 1;
}

static int routed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L);
}

int redis_route(lua_State *L, int route, const char *name) {
  int top = lua_gettop(L);
  lua_pushvalue(L, route);
  lua_insert(L, 1);
  lua_pushstring(L, name);
  lua_insert(L, 2);
  lua_callk(L, top + 1, LUA_MULTRET, 0, routed);
  return routed(L, LUA_OK, 0);
}
