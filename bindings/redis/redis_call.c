/* moonloop.redis.core: one command.

   command(name, is_map, expand, route) -> f
     f(client, ...), f(connection, ...) -> value | nil, err
       Sends NAME and the arguments, strings and numbers, and suspends until the reply arrives: see
       redis_value_push. An error reply gives nil and an error object of kind "redis".
     f(batch, ...)
       Adds the command to the batch.
     f(cluster, ...)
       Calls route(name, cluster, ...), which may suspend.
     name: one word, in capitals. is_map: its reply is a map, even if the server sends a list.
     expand(name, ...) is called if an argument is a table, and returns the arguments to send.

   post(connection, ...) -> boolean
     Sends a command, whose name is the first argument, without waiting for its reply. False if not
     connected. */
#include "bindings/redis/redis.h"
#include "core/error.h"
#include "redis/redis_command.h"
#include "redis/redis_observed.h"
#include "redis/redis_value.h"

#include <stdio.h>
#include <string.h>

typedef struct Command {
  const void *client, *batch, *connection, *cluster; /* metatables: the registry keeps them */
  char name[24];                                     /* for messages */
  unsigned flags;
  size_t len;
  char words[]; /* as it is sent */
} Command;

enum { UP_COMMAND = 1, UP_EXPAND, UP_ROUTE };

/* --- the results --- */

int redis_push_failure(lua_State *L, const RedisCall *call) {
  lua_pushnil(L);
  ml_error_push(L, call->kind, call->code[0] ? call->code : NULL, "%s: %s", call->name,
                call->error ? call->error : "not enough memory");
  if (call->unknown) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "unknown");
  }
  return 2;
}

void redis_delivered(RedisCall *call) {
  redis_observed_end(call, call->failed ? call->kind : NULL);
  call->link->delivering = NULL;
  redis_link_release(call);
}

void redis_deliver(RedisCall *call) {
  if (call->link->delivering) redis_delivered(call->link->delivering);
  call->link->delivering = call;
}

static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return redis_give(L, op, REDIS_ONE);
}

void redis_cancel(Task *task, void *op) {
  (void)task;
  redis_observed_end(op, "cancelled");
  redis_link_abandon(op);
}

void redis_describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const RedisCall *call = op;
  const RedisLink *link = call->link;
  bool away = link->state != REDIS_READY;
  snprintf(text, size, "redis %s%s%s%s", call->name, away ? " (not connected" : "",
           away && link->why[0] ? ": " : "", away ? link->why : "");
  size_t n = strlen(text);
  if (away && n + 1 < size) memcpy(text + n, ")", 2);
}

static const WaitType call_wait = {
    .name = "redis", .cancel = redis_cancel, .finish = finish, .describe = redis_describe};

/* --- arguments --- */

/* Is there a table among the arguments from `first` on? Raises for values that cannot be sent. */
static bool has_table(lua_State *L, int first, int top) {
  bool table = false;
  for (int i = first; i <= top; i++) {
    int type = lua_type(L, i);
    if (type == LUA_TTABLE)
      table = true;
    else if (type != LUA_TSTRING && type != LUA_TNUMBER)
      luaL_argerror(L, i,
                    lua_pushfstring(L, "string or number expected, got %s", lua_typename(L, type)));
  }
  return table;
}

static bool add_arguments(lua_State *L, Buffer *out, int first, int top) {
  for (int i = first; i <= top; i++) {
    size_t n;
    const char *text;
    bool ok;
    if (lua_type(L, i) == LUA_TSTRING) {
      text = lua_tolstring(L, i, &n);
      ok = redis_command_add(out, text, n);
    } else if (lua_isinteger(L, i)) {
      ok = redis_command_add_integer(out, lua_tointeger(L, i));
    } else {
      ok = redis_command_add_double(out, lua_tonumber(L, i));
    }
    if (!ok) return false;
  }
  return true;
}

static void no_memory(lua_State *L, Buffer *out, size_t from) {
  out->len = from;
  luaL_error(L, "not enough memory");
}

/* Appends the command with the arguments from index 2 on. Returns its offset. */
static size_t append(lua_State *L, Buffer *out, const Command *command) {
  size_t from = out->len;
  int top = lua_gettop(L);
  if (!redis_command_begin(out, (size_t)top) || !buffer_add(out, command->words, command->len) ||
      !add_arguments(L, out, 2, top))
    no_memory(L, out, from);
  return from;
}

/* Replaces the arguments by what `expand` returns. */
static void expand(lua_State *L, const Command *command) {
  int top = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(UP_EXPAND));
  lua_insert(L, 2);
  lua_pushstring(L, command->name);
  lua_insert(L, 3);
  lua_call(L, top, LUA_MULTRET);
  has_table(L, 2, lua_gettop(L));
}

/* --- sending --- */

int redis_refused(lua_State *L, const RedisLink *link, const char *name) {
  const char *label = link->settings->label;
  if (link->lost)
    return ml_error_return(L, link->why_kind, link->why_code[0] ? link->why_code : NULL,
                           "%s: the connection to %s was lost: %s", name, label, link->why);
  if (link->state == REDIS_CLOSED)
    return ml_error_return(L, "closed", NULL, "%s: the client of %s was closed", name, label);
  if (redis_link_is_full(link))
    return ml_error_return(
        L, "busy", NULL, "%s: %u commands already wait for a connection to %s: %s (offline_queue)",
        name, link->queued - link->withdrawn, label, link->why);
  return 0;
}

static int send_one(lua_State *L, RedisLink *link, const Command *command) {
  Task *task = ml_wait_enter(L, "ml.redis");
  int refused = redis_refused(L, link, command->name);
  if (refused) return refused;
  size_t from = append(L, &link->out, command);
  RedisCall *call = redis_link_call(link, from, 1, command->name, ml_wait_waker(task));
  if (!call) return luaL_error(L, "not enough memory");
  call->flags = command->flags;
  if (link->links->rt->observers) redis_observed_begin(call, 1);
  return ml_wait_suspend(L, task, &call_wait, call);
}

static int add_to_batch(lua_State *L, RedisBatch *batch, const Command *command) {
  if (batch->over) return luaL_error(L, "%s: the commands have already been sent", command->name);
  size_t from = append(L, &batch->out, command);
  if (!buffer_add_char(&batch->flags, (char)command->flags)) no_memory(L, &batch->out, from);
  batch->count++;
  return 0;
}

static int l_command(lua_State *L) {
  const Command *command = lua_touserdata(L, lua_upvalueindex(UP_COMMAND));
  void *object = lua_touserdata(L, 1);
  if (!object || !lua_getmetatable(L, 1))
    return luaL_error(L, "%s: call it with a colon, on a Redis client", command->name);
  const void *class = lua_topointer(L, -1);
  lua_pop(L, 1);
  if (class == command->cluster) return redis_route(L, lua_upvalueindex(UP_ROUTE), command->name);
  if (class != command->client && class != command->batch && class != command->connection)
    return luaL_error(L, "%s: call it with a colon, on a Redis client", command->name);
  if (has_table(L, 2, lua_gettop(L))) expand(L, command);
  if (class == command->batch) return add_to_batch(L, object, command);
  return send_one(L, ((RedisClient *)object)->link, command);
}

static const void *class_of(lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  const void *class = lua_topointer(L, -1);
  lua_pop(L, 1);
  return class;
}

int redis_command(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  bool is_map = lua_toboolean(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  Command *command = lua_newuserdatauv(L, sizeof *command + n + 32, 0);
  command->flags = is_map ? REDIS_VALUE_MAP : 0;
  snprintf(command->name, sizeof command->name, "%s", name);
  command->len = (size_t)snprintf(command->words, 32, "$%zu\r\n", n);
  memcpy(command->words + command->len, name, n);
  memcpy(command->words + command->len + n, "\r\n", 2);
  command->len += n + 2;
  command->client = class_of(L, REDIS_CLIENT);
  command->batch = class_of(L, REDIS_BATCH);
  command->connection = class_of(L, REDIS_CONNECTION);
  command->cluster = class_of(L, REDIS_CLUSTER);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_pushcclosure(L, l_command, UP_ROUTE);
  return 1;
}

int redis_post(lua_State *L) {
  RedisLink *link = redis_check_link(L, 1);
  int top = lua_gettop(L);
  luaL_checkstring(L, 2);
  if (has_table(L, 2, top)) return luaL_argerror(L, 2, "no table expected");
  Buffer *out = &link->out;
  size_t from = out->len;
  if (link->state != REDIS_READY) {
    lua_pushboolean(L, false);
    return 1;
  }
  if (!redis_command_begin(out, (size_t)top - 1) || !add_arguments(L, out, 2, top))
    no_memory(L, out, from);
  lua_pushboolean(L, redis_link_post(link, from, 1));
  return 1;
}
