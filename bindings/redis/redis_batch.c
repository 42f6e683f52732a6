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

/* Reads the replies in a call's slices one by one. */
typedef struct Reader {
  const RedisSlice *slice;
  const char *at;
} Reader;

static Reader reader_of(RedisCall *call) {
  const RedisSlice *slice = redis_block_slices(&call->slices);
  return (Reader){slice, slice->block->data + slice->from};
}

/* The next reply, which must exist. */
static const char *next_reply(Reader *r) {
  if (r->at == r->slice->block->data + r->slice->to) {
    r->slice++;
    r->at = r->slice->block->data + r->slice->from;
  }
  return r->at;
}

static int pipeline_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  RedisCall *call = op;
  const RedisBatch *batch = lua_touserdata(L, 1);
  redis_deliver(call);
  int n = 1;
  if (call->failed) {
    n = redis_push_failure(L, call);
  } else {
    Reader r = reader_of(call);
    lua_createtable(L, (int)call->count, 1);
    for (unsigned i = 0; i < call->count; i++) {
      r.at = redis_value_push(L, next_reply(&r), (unsigned char)batch->flags.data[i]);
      lua_rawseti(L, -2, i + 1);
    }
    redis_value_count(L, call->count);
  }
  redis_delivered(call);
  return n;
}

/* Pushes EXEC's list as redis_value_push does, but each value with its command's flags. */
static void push_executed(lua_State *L, const char *bytes, const RedisBatch *batch) {
  redis_value_push(L, bytes, 0);
  redis_value_count(L, batch->count);
  for (unsigned i = 0; i < batch->count; i++) {
    if (!batch->flags.data[i]) continue;
    if (lua_rawgeti(L, -1, i + 1) == LUA_TTABLE && !error_is(L, -1)) { /* RESP2 has no maps */
      lua_Integer len = (lua_Integer)lua_rawlen(L, -1);
      if (len > 0) {
        lua_createtable(L, 0, (int)(len / 2));
        for (lua_Integer k = 1; k < len; k += 2) {
          lua_rawgeti(L, -2, k);
          lua_rawgeti(L, -3, k + 1);
          lua_rawset(L, -3);
        }
        lua_rawseti(L, -3, i + 1);
      }
    }
    lua_pop(L, 1);
  }
}

static int multi_give(lua_State *L, RedisCall *call) {
  if (call->failed) return redis_push_failure(L, call);
  const RedisBatch *batch = lua_touserdata(L, 1);
  Reader r = reader_of(call);
  int first_error = 0; /* why EXEC was refused */
  for (unsigned i = 0; i + 1 < call->count; i++) {
    const char *bytes = next_reply(&r);
    bool is_error = redis_value_is_error(bytes) && !first_error;
    r.at = redis_value_push(L, bytes, 0);
    if (is_error)
      first_error = lua_gettop(L);
    else
      lua_pop(L, 1);
  }
  const char *bytes = next_reply(&r);
  if (redis_value_is_null(bytes)) return 0;
  if (!redis_value_is_error(bytes)) {
    push_executed(L, bytes, batch);
    return 1;
  }
  lua_pushnil(L);
  if (first_error)
    lua_pushvalue(L, first_error);
  else
    redis_value_push(L, bytes, 0);
  return 2;
}

static int multi_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  RedisCall *call = op;
  redis_deliver(call);
  int n = multi_give(L, call);
  redis_delivered(call);
  if (n) return n;
  lua_pushnil(L);
  return 1;
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
