/* Shared by the files of moonloop.redis.core. */
#ifndef ML_REDIS_H
#define ML_REDIS_H

#include "core/names.h"
#include "redis/redis_link.h"

#include <lauxlib.h>
#include <lua.h>

/* The registered names of the types. Clients and clusters cross to other states. */
#define REDIS_CLIENT "moonloop.redis.client"
#define REDIS_CONNECTION "moonloop.redis.core.connection"
#define REDIS_BATCH "moonloop.redis.core.batch"
#define REDIS_CLUSTER "moonloop.redis.cluster"

/* A client, or a connection that it has leased. Its user values: the settings, and a table for
   Lua's use. */
typedef struct RedisClient {
  RedisLink *link;
} RedisClient;
enum { REDIS_KEEPS_SETTINGS = 1, REDIS_KEEPS_TABLE };

/* Commands to be sent together. */
typedef struct RedisBatch {
  Buffer out, flags; /* flags: a byte for each command */
  unsigned count;
  bool over; /* nothing more can be added */
} RedisBatch;

/* The link of the client or connection at `index`, or an argument error. */
RedisLink *redis_check_link(lua_State *L, int index);

/* 0 if a call may be made. Otherwise pushes nil and an error, and returns 2. */
int redis_refused(lua_State *L, const RedisLink *link, const char *name);

/* Pushes nil and the error of a failed call; returns 2. */
int redis_push_failure(lua_State *L, const RedisCall *call);

/* Called before and after the results of a call are pushed; the second frees its slot. */
void redis_deliver(RedisCall *call);
void redis_delivered(RedisCall *call);

/* What the replies of a call are to its caller. */
typedef enum RedisResults {
  REDIS_ONE,      /* the value of the only one, or nil and an error */
  REDIS_PIPELINE, /* a list of all, by the batch at index 1 */
  REDIS_MULTI     /* EXEC's, the last one, a list by the batch at 1; nil; or nil and an error */
} RedisResults;

/* Ends a call, for the `finish` of a WaitType: pushes its results and returns their number.
   Suspends now and then if the replies are long. */
int redis_give(lua_State *L, RedisCall *call, RedisResults kind);

/* For WaitTypes whose `op` is a RedisCall. */
void redis_cancel(Task *task, void *op);
void redis_describe(const Task *task, const void *op, char *text, size_t size);

/* command(name, is_map, expand, route) -> function: see redis_call.c. */
int redis_command(lua_State *L);

/* post(connection, command, ...) */
int redis_post(lua_State *L);

/* batch() -> batch    run(batch, client, multi) -> list | nil, err */
int redis_batch(lua_State *L);
int redis_run(lua_State *L);
void redis_batch_open(lua_State *L);

/* next(connection) -> message | nil, err */
int redis_next(lua_State *L);

/* cluster(t) -> cluster    slot(key) -> integer    count(t, n) -> t */
int redis_cluster(lua_State *L);
int redis_slot_of(lua_State *L);
int redis_count(lua_State *L);

/* Calls the function at `route` with `name` and everything on the stack, and returns its results.
 */
int redis_route(lua_State *L, int route, const char *name);

#endif
