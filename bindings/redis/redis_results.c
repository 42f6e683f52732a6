/* The results of calls: their replies as Lua values. Those of long replies are made in steps
   between which other tasks run: a server decides how much work they are. */
#include "bindings/class.h"
#include "bindings/redis/redis.h"
#include "bindings/value_or_error.h"
#include "core/error.h"
#include "core/wait.h"
#include "redis/redis_observed.h"
#include "redis/redis_value.h"

/* Bytes of replies from which on steps are worth it; fewer take a few milliseconds at most. */
#define LONG (64 << 10)

/* What is known of the replies while they are read, one by one. */
typedef struct Results {
  RedisResults kind;
  const RedisBatch *batch; /* NULL for REDIS_ONE */
  const RedisSlice *slice; /* the one of the next reply */
  const char *at;          /* the next reply, or the end of the slice */
  unsigned count, taken;   /* replies */
  bool is_error;           /* the one that is being read */
  bool may_be_error;       /* or its value, behind attributes */
  bool is_begun;           /* it is being read */
  int base;                /* the stack index of a pipeline's list, or of MULTI's first error */
  RedisValue value;
} Results;

/* A userdata on the stack. */
typedef struct LongResults {
  RedisSlices slices; /* the call's */
  Results results;
} LongResults;

#define LONG_RESULTS "moonloop.redis.core.results"

/* --- one by one --- */

static void begin(Results *r, lua_State *L, const RedisCall *call, const RedisSlices *slices,
                  RedisResults kind) {
  r->kind = kind;
  r->batch = kind == REDIS_ONE ? NULL : lua_touserdata(L, 1);
  r->slice = redis_block_slices((RedisSlices *)slices);
  r->at = r->slice->block->data + r->slice->from;
  r->count = call->count;
  r->taken = 0;
  r->is_begun = false;
  r->value.flags = call->flags;
  if (kind == REDIS_PIPELINE)
    lua_createtable(L, (int)call->count, 1);
  else
    lua_pushnil(L);
  r->base = lua_gettop(L);
}

/* Prepares to read the next reply, which must exist. */
static void begin_reply(Results *r, lua_State *L) {
  if (r->at == r->slice->block->data + r->slice->to) {
    r->slice++;
    r->at = r->slice->block->data + r->slice->from;
  }
  const unsigned char *each = r->batch ? (const unsigned char *)r->batch->flags.data : NULL;
  unsigned flags = r->kind == REDIS_PIPELINE ? each[r->taken] : r->value.flags;
  redis_value_begin(&r->value, L, r->at, flags);
  if (r->kind == REDIS_MULTI && r->taken + 1 == r->count) {
    r->value.each = each; /* EXEC's reply is a list of those of the commands */
    r->value.eaches = r->batch->count;
  }
  r->is_error = redis_value_is_error(r->at);
  r->may_be_error = r->is_error || *r->at == '|';
  r->is_begun = true;
}

/* The value of a reply is on the top. */
static void take(Results *r, lua_State *L) {
  r->at = r->value.at;
  r->is_begun = false;
  r->taken++;
  if (r->kind == REDIS_PIPELINE)
    lua_rawseti(L, r->base, r->taken);
  else if (r->kind == REDIS_MULTI && r->taken < r->count && r->is_error && lua_isnil(L, r->base))
    lua_replace(L, r->base);
  else if (r->taken < r->count)
    lua_pop(L, 1);
}

/* Reads on; false when the budget is used up. */
static bool read_replies(Results *r, lua_State *L, int64_t budget) {
  while (r->taken < r->count) {
    if (!r->is_begun) begin_reply(r, L);
    if (!redis_value_go(&r->value, &budget)) return false;
    take(r, L);
  }
  return true;
}

/* Returns the number of results, which are on the top. `L` is as read_replies has left it. */
static int finish(const Results *r, lua_State *L) {
  if (r->kind == REDIS_ONE) return value_or_error(L, !r->may_be_error || !error_is(L, -1));
  if (r->kind == REDIS_PIPELINE) {
    redis_value_count(L, r->count);
    return 1;
  }
  if (!r->is_error) { /* nil where a watched key has changed */
    if (lua_isnil(L, -1)) return 1;
    if (!lua_istable(L, -1) || error_is(L, -1))
      return ml_error_return(L, "redis", "REPLY",
                             "EXEC: the reply of the server has another form than that of Redis");
    redis_value_count(L, r->batch->count);
    return 1;
  }
  if (!lua_isnil(L, r->base)) lua_pushvalue(L, r->base);
  return value_or_error(L, false);
}

/* --- in steps --- */

static int l_results_gc(lua_State *L) {
  redis_block_clear(&((LongResults *)lua_touserdata(L, 1))->slices);
  return 0;
}

static int go_on(lua_State *L, LongResults *all);

static int turn_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return go_on(L, op);
}

/* Cancelled in between: what has been made is dropped. */
static bool turn_revoke(Task *task, void *op) {
  (void)task;
  redis_block_clear(&((LongResults *)op)->slices);
  return true;
}

static const WaitType turn_wait = {.name = "its turn to read a long reply of Redis",
                                   .cancel = wait_cancel_nothing,
                                   .finish = turn_finish,
                                   .revoke = turn_revoke};

static int go_on(lua_State *L, LongResults *all) {
  while (!read_replies(&all->results, L, REDIS_VALUE_STEP))
    if (wait_may_give_way(L)) return wait_give_way(L, &turn_wait, all);
  redis_block_clear(&all->slices);
  return finish(&all->results, L);
}

/* --- the whole --- */

static bool is_long(RedisCall *call) {
  const RedisSlice *slices = redis_block_slices(&call->slices);
  size_t bytes = 0;
  for (unsigned i = 0; i < call->slices.count; i++) bytes += slices[i].to - slices[i].from;
  return bytes > LONG;
}

/* An error reply to a single command. */
static int push_error(lua_State *L, RedisCall *call, const char *bytes) {
  redis_observed_end(call, "redis");
  size_t n;
  const char *text = redis_value_error_text(bytes, &n);
  lua_pushnil(L);
  redis_value_push_error(L, text, n, call->name);
  return 2;
}

/* Takes the replies from the call, which is over then. */
static int push_long(lua_State *L, RedisCall *call, RedisResults kind) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  LongResults *all = lua_newuserdatauv(L, sizeof *all, 0);
  all->slices = (RedisSlices){0};
  class_set(L, LONG_RESULTS, none, l_results_gc, NULL);
  all->slices = call->slices;
  call->slices = (RedisSlices){0};
  begin(&all->results, L, call, &all->slices, kind);
  redis_delivered(call);
  return go_on(L, all);
}

static int push_short(lua_State *L, RedisCall *call, RedisResults kind) {
  Results results;
  begin(&results, L, call, &call->slices, kind);
  read_replies(&results, L, INT64_MAX);
  return finish(&results, L);
}

static int push_value(lua_State *L, const RedisCall *call, const char *bytes) {
  redis_value_push(L, bytes, call->flags);
  return value_or_error(L, *bytes != '|' || !error_is(L, -1));
}

/* Pushes the results; returns their number. */
static int push_all(lua_State *L, RedisCall *call, RedisResults kind) {
  const RedisSlice *first = redis_block_slices(&call->slices);
  const char *bytes = first->block->data + first->from;
  if (kind != REDIS_ONE) return push_short(L, call, kind);
  return redis_value_is_error(bytes) ? push_error(L, call, bytes) : push_value(L, call, bytes);
}

int redis_give(lua_State *L, RedisCall *call, RedisResults kind) {
  redis_deliver(call);
  if (!call->failed && is_long(call)) return push_long(L, call, kind);
  int n = call->failed ? redis_push_failure(L, call) : push_all(L, call, kind);
  redis_delivered(call);
  return n;
}
