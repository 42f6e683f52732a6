/* moonloop.redis.core: several commands in one round trip.

   batch() -> batch
     Commands called on it are added to it.
   run(batch, client, multi) -> list | nil, err
     Sends them and suspends until all replies have arrived: a list with `n`, in which error replies
     are error objects. With `multi` they are sent between MULTI and EXEC, and the list is EXEC's
     reply; nil if a watched key had changed. Nothing can be added to the batch afterwards. */
#include "bindings/class.h"
#include "bindings/redis/redis.h"
#include "core/error.h"
#include "redis/redis_command.h"
#include "redis/redis_observed.h"
#include "redis/redis_value.h"

static int l_batch_gc(lua_State *L) {
  RedisBatch *batch = lua_touserdata(L, 1);
  buffer_free(&batch->out);
  buffer_free(&batch->flags);
  return 0;
}

void redis_batch_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  class_make(L, REDIS_BATCH, none, l_batch_gc, NULL);
}

int redis_batch(lua_State *L) {
  RedisBatch *batch = lua_newuserdatauv(L, sizeof *batch, 0);
  *batch = (RedisBatch){0};
  luaL_setmetatable(L, REDIS_BATCH);
  return 1;
}

/* --- replies --- */

static int pipeline_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return redis_give(L, op, REDIS_PIPELINE);
}

static int multi_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return redis_give(L, op, REDIS_MULTI);
}

static const WaitType pipeline_wait = {.name = "redis pipeline",
                                       .cancel = redis_cancel,
                                       .finish = pipeline_finish,
                                       .describe = redis_describe};
static const WaitType multi_wait = {.name = "redis multi",
                                    .cancel = redis_cancel,
                                    .finish = multi_finish,
                                    .describe = redis_describe};

/* --- sending --- */

static bool add_word(Buffer *out, const char *word, size_t n) {
  return redis_command_begin(out, 1) && redis_command_add(out, word, n);
}

static bool add_batch(Buffer *out, const RedisBatch *batch, bool multi) {
  return (!multi || add_word(out, "MULTI", 5)) &&
         buffer_add(out, batch->out.data, batch->out.len) && (!multi || add_word(out, "EXEC", 4));
}

int redis_run(lua_State *L) {
  RedisBatch *batch = luaL_checkudata(L, 1, REDIS_BATCH);
  RedisLink *link = redis_check_link(L, 2);
  bool multi = lua_toboolean(L, 3);
  const char *name = multi ? "MULTI" : "pipeline";
  Task *task = ml_wait_enter(L, "ml.redis");
  batch->over = true;
  int refused = redis_refused(L, link, name);
  if (refused) return refused;
  if (!batch->count && !multi) {
    lua_createtable(L, 0, 1);
    redis_value_count(L, 0);
    return 1;
  }
  size_t from = link->out.len;
  RedisCall *call = NULL;
  if (add_batch(&link->out, batch, multi))
    call = redis_link_call(link, from, batch->count + (multi ? 2 : 0), name, ml_wait_waker(task));
  else
    link->out.len = from;
  if (!call) return luaL_error(L, "not enough memory");
  if (link->links->rt->observers) redis_observed_begin(call, batch->count);
  return ml_wait_suspend(L, task, multi ? &multi_wait : &pipeline_wait, call);
}
