/* Reads replies of a Redis server in one piece, byte by byte and in pieces: all must find the same
   replies, the same end and the same fault. What is whole becomes a Lua value, whose making must
   end where the reply does, also in steps. The first byte chooses the size of the pieces. */
#include "core/error.h"
#include "redis/redis_reply.h"
#include "redis/redis_value.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REPLIES = 64, MOST_BYTES = 512 /* each is looked at with each */ };

typedef struct Seen {
  size_t ends[MOST_REPLIES], count;
  RedisReplyStep step;
} Seen;

static void require(bool holds) {
  if (!holds) abort();
}

/* Finds the replies, of which `piece` bytes more come at a time. */
static Seen run(const uint8_t *bytes, size_t size, size_t piece) {
  Seen seen = {.step = REDIS_REPLY_MORE};
  RedisReply reply = {0};
  size_t from = 0;
  for (size_t come = 0;
       seen.step == REDIS_REPLY_MORE && come < size && seen.count < MOST_REPLIES;) {
    come = size - come < piece ? size : come + piece;
    while (from < come && seen.count < MOST_REPLIES) {
      size_t n = come - from;
      char *copy = malloc(n); /* so that ASan sees every read beyond what has come */
      require(copy);
      memcpy(copy, bytes + from, n);
      seen.step = redis_reply_scan(&reply, copy, n);
      free(copy);
      if (seen.step != REDIS_REPLY_WHOLE) break;
      require(reply.at > 0 && reply.at <= n);
      from += reply.at;
      seen.ends[seen.count++] = from;
      redis_reply_begin(&reply);
      seen.step = REDIS_REPLY_MORE;
    }
  }
  require(seen.step != REDIS_REPLY_BAD || reply.error);
  return seen;
}

static void compare(const Seen *a, const Seen *b) {
  require(a->count == b->count);
  require(!memcmp(a->ends, b->ends, a->count * sizeof *a->ends));
  if (a->count < MOST_REPLIES) require(a->step == b->step);
}

static int l_push(lua_State *L) {
  const char *bytes = lua_touserdata(L, 1);
  const char *end = lua_touserdata(L, 2);
  for (unsigned flags = 0; flags <= REDIS_VALUE_MAP; flags++) {
    require(redis_value_push(L, bytes, flags) == end);
    require(lua_gettop(L) == 3);
    RedisValue steps;
    redis_value_begin(&steps, L, bytes, flags);
    for (int64_t budget = 1; !redis_value_go(&steps, &budget);) budget = 1;
    require(steps.at == end && lua_gettop(L) == 4 && lua_type(L, 3) == lua_type(L, 4));
    lua_settop(L, 3);
    require(!redis_value_is_null(bytes) || lua_isnil(L, 3));
    require(!redis_value_is_error(bytes) || error_is(L, 3));
    lua_settop(L, 2);
  }
  return 0;
}

static void make_values(lua_State *L, const uint8_t *bytes, const Seen *seen) {
  size_t from = 0;
  for (size_t i = 0; i < seen->count; i++) {
    size_t n = seen->ends[i] - from;
    char *copy = malloc(n);
    require(copy);
    memcpy(copy, bytes + from, n);
    lua_pushcfunction(L, l_push);
    lua_pushlightuserdata(L, copy);
    lua_pushlightuserdata(L, copy + n);
    require(lua_pcall(L, 2, 0, 0) == LUA_OK);
    free(copy);
    from = seen->ends[i];
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) {
    L = luaL_newstate();
    require(L);
    error_open(L);
    lua_settop(L, 0);
  }
  if (size < 1) return 0;
  size_t piece = data[0] % 32 + 2;
  data++;
  size = size - 1 < MOST_BYTES ? size - 1 : MOST_BYTES;
  Seen whole = run(data, size, size ? size : 1);
  Seen pieces = run(data, size, piece);
  Seen bytes = run(data, size, 1);
  compare(&whole, &pieces);
  compare(&whole, &bytes);
  make_values(L, data, &whole);
  return 0;
}
