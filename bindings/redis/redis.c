/* moonloop.redis.core: links to Redis servers (host/redis/redis_link.h) and their commands. No
   policy here: URLs, options, the list of commands, leases, locks and so on are in
   scripts/moonloop/redis/.

   settings(t) -> settings
     The server to connect to, and how; the values have been checked. t: `host` and `port`, or
     `path` of a Unix socket, or `sentinels`, a list of tables with `host`, `port`, `label`, `user`
     and `password`, and `master`, its name there; `label` for messages; `user`, `password`, `name`,
     or nil; `database`, `protocol` (2 or 3), `timeout` and `connect_timeout` in seconds,
     `offline_queue`, `max_reply` in bytes; `tls`, options that were checked, or true;
     `hasty`: a failed connection fails all calls at once. Raises an error of kind "tls" if a
     certificate is wrong.
   check_tls(options): raises what is wrong with the option `tls`
   client(settings, t) -> client
     Connects at its first command, and reconnects when the connection is lost. All tasks share it.
     t: the table that `table` returns.
   connection(client, patient) -> connection
     Another connection to the same server, for one holder. It is never reconnected, and a cancel
     closes it. patient: written commands have no timeout.
   client:close(), connection:close()
     Waiting calls fail with kind "closed". Also __gc and __close.
   table(client) -> t
   state(client) -> "off" | "connecting" | "ready" | "waiting" | "closed", number of connections
     made, calls in line, protocol (2 or 3), why the last connection ended or nil
   subscribe(connection): from now on, incoming replies are messages.
   index(type, t): makes t the methods of "client", "connection", "batch" or "cluster". If it has a
     `close`, that is also the `__close` of the type.

   The other functions are described in redis_call.c, redis_batch.c,
   redis_messages.c, redis_cluster.c. */
#include "bindings/redis/redis.h"

#include "bindings/class.h"
#include "bindings/fields.h"
#include "bindings/redis/open.h"
#include "bindings/tls_options.h"
#include "transfer/transfer.h"

#include <stdlib.h>
#include <string.h>

static RedisClient *test_client(lua_State *L, int index) {
  RedisClient *client = luaL_testudata(L, index, REDIS_CLIENT);
  return client ? client : luaL_testudata(L, index, REDIS_CONNECTION);
}

static RedisClient *check_client(lua_State *L, int index) {
  RedisClient *client = test_client(L, index);
  if (!client) luaL_typeerror(L, index, "Redis client");
  return client;
}

RedisLink *redis_check_link(lua_State *L, int index) { return check_client(L, index)->link; }

/* --- settings --- */

#define SETTINGS "moonloop.redis.core.settings"

/* Fields of the table at `index`. */
static double number_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  double value = luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return value;
}

/* The text of a field, or NULL. The settings keep it. */
static const char *text_field(lua_State *L, int index, const char *name, size_t *len) {
  lua_getfield(L, index, name);
  const char *text = luaL_optlstring(L, -1, NULL, len);
  if (!text && len) *len = 0;
  lua_pop(L, 1);
  return text;
}

/* The list of sentinels at the top of L. */
static void read_sentinels(lua_State *L, RedisSettings *s) {
  for (unsigned i = 0; i < s->sentinel_count; i++) {
    RedisSentinel *sentinel = &s->sentinels[i];
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    int index = lua_gettop(L);
    sentinel->endpoint = (DialEndpoint){.host = text_field(L, index, "host", NULL),
                                        .port = (uint16_t)number_field(L, index, "port")};
    sentinel->label = text_field(L, index, "label", NULL);
    sentinel->user = text_field(L, index, "user", &sentinel->user_len);
    sentinel->password = text_field(L, index, "password", &sentinel->password_len);
    lua_pop(L, 1);
  }
}

static int l_settings_gc(lua_State *L) {
  RedisSettings *s = lua_touserdata(L, 1);
  tls_context_release(s->tls);
  s->tls = NULL;
  return 0;
}

/* The option tls of the table at 1; the settings are on the top of L, and keep the context. */
static void read_tls(lua_State *L, RedisSettings *s) {
  lua_getfield(L, 1, "tls");
  if (lua_toboolean(L, -1)) {
    s->tls_name = tls_options_name(L, -1, NULL);
    s->tls = tls_options_context(L, -1, false, NULL, false);
    if (!s->tls) lua_error(L);
  }
  lua_pop(L, 1);
}

/* check_tls(options): raises what is wrong with them */
static int l_check_tls(lua_State *L) {
  tls_options_check(L, 1, false, "the option 'tls' of ml.redis.client");
  return 0;
}

static int l_settings(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t sentinels = 0;
  if (lua_getfield(L, 1, "sentinels") == LUA_TTABLE) sentinels = lua_rawlen(L, -1);
  RedisSettings *s = lua_newuserdatauv(L, sizeof *s + sentinels * sizeof *s->sentinels, 1);
  lua_pushvalue(L, 1); /* keeps the strings alive */
  lua_setiuservalue(L, -2, 1);
  *s = (RedisSettings){.endpoint = {.host = text_field(L, 1, "host", NULL),
                                    .unix_path = text_field(L, 1, "path", NULL)},
                       .label = text_field(L, 1, "label", NULL),
                       .master = text_field(L, 1, "master", NULL),
                       .sentinel_count = (unsigned)sentinels,
                       .sentinels = (RedisSentinel *)(s + 1),
                       .database = (int)number_field(L, 1, "database"),
                       .protocol = (int)number_field(L, 1, "protocol"),
                       .timeout = number_field(L, 1, "timeout"),
                       .connect_timeout = number_field(L, 1, "connect_timeout"),
                       .offline_queue = (unsigned)number_field(L, 1, "offline_queue"),
                       .max_reply = fields_size(L, 1, "max_reply", SIZE_MAX)};
  s->user = text_field(L, 1, "user", &s->user_len);
  s->password = text_field(L, 1, "password", &s->password_len);
  s->name = text_field(L, 1, "name", &s->name_len);
  if (s->endpoint.host) s->endpoint.port = (uint16_t)number_field(L, 1, "port");
  lua_getfield(L, 1, "hasty");
  s->hasty = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (sentinels) {
    lua_pushvalue(L, -2);
    read_sentinels(L, s);
    lua_pop(L, 1);
  }
  luaL_setmetatable(L, SETTINGS);
  read_tls(L, s);
  return 1;
}

/* --- clients --- */

static int l_links_gc(lua_State *L) {
  RedisLinks **links = lua_touserdata(L, 1);
  free(*links);
  *links = NULL;
  return 0;
}

/* Upvalue 1 keeps the runtime's links. */
static RedisLinks *links_of(lua_State *L) {
  RedisLinks **links = lua_touserdata(L, lua_upvalueindex(1));
  if (!*links) *links = redis_link_open_all(runtime_of(L));
  if (!*links) luaL_error(L, "not enough memory");
  return *links;
}

static void push_client(lua_State *L, RedisLinks *links, int settings, const char *type,
                        bool leased, bool patient) {
  RedisClient *client = lua_newuserdatauv(L, sizeof *client, REDIS_KEEPS_TABLE);
  client->link = NULL;
  luaL_setmetatable(L, type);
  lua_pushvalue(L, settings);
  lua_setiuservalue(L, -2, REDIS_KEEPS_SETTINGS);
  client->link = redis_link_new(links, lua_touserdata(L, settings), leased, patient);
  if (!client->link) luaL_error(L, "not enough memory");
}

static int l_client(lua_State *L) {
  RedisLinks *links = links_of(L);
  luaL_checkudata(L, 1, SETTINGS);
  luaL_checktype(L, 2, LUA_TTABLE);
  push_client(L, links, 1, REDIS_CLIENT, false, false);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, REDIS_KEEPS_TABLE);
  return 1;
}

/* The runtime has its links already: the client has one. */
static int l_connection(lua_State *L) {
  RedisClient *client = check_client(L, 1);
  bool patient = lua_toboolean(L, 2);
  lua_getiuservalue(L, 1, REDIS_KEEPS_SETTINGS);
  push_client(L, client->link->links, lua_gettop(L), REDIS_CONNECTION, true, patient);
  return 1;
}

static int l_close(lua_State *L) {
  redis_link_close(redis_check_link(L, 1));
  return 0;
}

static int l_client_gc(lua_State *L) {
  RedisClient *client = lua_touserdata(L, 1);
  if (client->link) redis_link_free(client->link);
  client->link = NULL;
  return 0;
}

static int l_table(lua_State *L) {
  if (!luaL_testudata(L, 1, REDIS_CLUSTER)) check_client(L, 1);
  lua_getiuservalue(L, 1, REDIS_KEEPS_TABLE);
  return 1;
}

static int l_state(lua_State *L) {
  static const char *const names[] = {
      [REDIS_OFF] = "off",     [REDIS_DIALING] = "connecting", [REDIS_GREETING] = "connecting",
      [REDIS_READY] = "ready", [REDIS_WAITING] = "waiting",    [REDIS_CLOSED] = "closed"};
  const RedisLink *link = redis_check_link(L, 1);
  lua_Integer calls = 0;
  for (const RedisCall *call = link->first; call; call = call->next) calls++;
  lua_pushstring(L, names[link->state]);
  lua_pushinteger(L, (lua_Integer)link->connections);
  lua_pushinteger(L, calls);
  lua_pushinteger(L, link->resp3 ? 3 : 2);
  if (link->why[0])
    lua_pushstring(L, link->why);
  else
    lua_pushnil(L);
  return 5;
}

static int l_subscribe(lua_State *L) {
  redis_link_subscribe(redis_check_link(L, 1));
  return 0;
}

/* --- other states: a client crosses as the arguments that made it --- */

static int l_pack(lua_State *L) {
  lua_getiuservalue(L, 1, REDIS_KEEPS_TABLE);
  lua_getfield(L, -1, "made_from");
  return 1;
}

/* Calls require "moonloop.redis".client(url, options) in the other state. */
static int l_unpack(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.redis");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "client");
  lua_rawgeti(L, 1, 1);
  lua_rawgeti(L, 1, 2);
  lua_call(L, 2, 1);
  return 1;
}

/* --- the module --- */

static int l_index(lua_State *L) {
  static const char *const names[] = {"client", "connection", "batch", "cluster", NULL};
  static const char *const types[] = {REDIS_CLIENT, REDIS_CONNECTION, REDIS_BATCH, REDIS_CLUSTER};
  luaL_getmetatable(L, types[luaL_checkoption(L, 1, NULL, names)]);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "close");
  if (lua_rawget(L, 2) == LUA_TFUNCTION) lua_setfield(L, -2, "__close");
  return 0;
}

int luaopen_moonloop_redis_core(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"settings", l_settings},
                                       {"check_tls", l_check_tls},
                                       {"connection", l_connection},
                                       {"close", l_close},
                                       {"table", l_table},
                                       {"state", l_state},
                                       {"subscribe", l_subscribe},
                                       {"index", l_index},
                                       {"command", redis_command},
                                       {"post", redis_post},
                                       {"batch", redis_batch},
                                       {"run", redis_run},
                                       {"next", redis_next},
                                       {"cluster", redis_cluster},
                                       {"slot", redis_slot_of},
                                       {"count", redis_count},
                                       {NULL, NULL}};
  luaL_newmetatable(L, SETTINGS);
  lua_pushcfunction(L, l_settings_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  class_make(L, REDIS_CLIENT, none, l_client_gc, l_close);
  class_make(L, REDIS_CONNECTION, none, l_client_gc, l_close);
  class_make(L, REDIS_CLUSTER, none, NULL, NULL);
  redis_batch_open(L);
  transfer_register(L, REDIS_CLUSTER, l_pack, l_unpack);
  transfer_register(L, REDIS_CLIENT, l_pack, l_unpack);
  luaL_newlib(L, functions);
  class_set_with_place(L, "client", l_client, l_links_gc);
  return 1;
}
