/* moonloop.redis.core: messages for subscribers.

   next(connection) -> list | nil, err
     The next message, as the server sends it: {"message", "channel", "text"}. Suspends until one
   arrives. Only one task may wait. */
#include "bindings/redis/redis.h"

#include "core/wait.h"
#include "redis/redis_value.h"

#include <stdio.h>

static int give(lua_State *L, RedisLink *link, RedisSlice *slice) {
  if (!slice)
    return ml_error_return(L, link->why_kind[0] ? link->why_kind : "closed",
                           link->why_code[0] ? link->why_code : NULL,
                           "the connection to %s was lost: %s", link->settings->label,
                           link->why[0] ? link->why : "it was closed");
  const char *bytes = slice->block->data + slice->from;
  const char *end = redis_value_push(L, bytes, 0);
  redis_link_taken(link, slice, (size_t)(end - bytes));
  return 1;
}

static void cancel(Task *task, void *op) {
  (void)task;
  redis_link_stop_reading(op);
}

static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  RedisLink *link = op;
  return give(L, link, redis_block_first(&link->messages));
}

static void describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const RedisLink *link = op;
  snprintf(text, size, "a message from %s", link->settings->label);
}

static const WaitType message_wait = {
    .name = "redis message", .cancel = cancel, .finish = finish, .describe = describe};

int redis_next(lua_State *L) {
  RedisLink *link = redis_check_link(L, 1);
  Task *task = ml_wait_enter(L, "ml.redis");
  if (link->has_reader)
    return luaL_error(L, "another task is already waiting for the next message");
  RedisSlice *slice = redis_link_next(link, ml_wait_waker(task));
  if (slice || link->state == REDIS_CLOSED || !link->socket) {
    if (link->has_reader) redis_link_stop_reading(link);
    return wait_spared(L, give(L, link, slice), 1);
  }
  return ml_wait_suspend(L, task, &message_wait, link);
}
