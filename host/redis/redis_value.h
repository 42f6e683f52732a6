/* Replies as Lua values. */
#ifndef ML_REDIS_VALUE_H
#define ML_REDIS_VALUE_H

#include "redis/redis_reply.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list of names and values becomes a map: for commands such as HGETALL in RESP2, which has no
   maps. */
#define REDIS_VALUE_MAP 1u

/* Pushes the value of the complete reply at `bytes`. Integers, doubles (floats), strings, nulls
   (nil) and booleans become Lua's; a big number becomes a string. Lists and sets become lists, for
   JSON too; with nulls in them, counted lists (counted_list.h). An error becomes an error object of
   kind "redis". Returns the end of the reply. May raise a memory error.
 */
const char *redis_value_push(lua_State *L, const char *bytes, unsigned flags);

/* --- the same in steps, for long replies --- */

/* What a step may cost, where a value costs 1, and more if it is a long text: about a millisecond's
   work. */
enum { REDIS_VALUE_STEP = 8192 };

/* A list, a map or attributes that have begun. */
typedef struct RedisOpen {
  int table; /* its stack index */
  char kind; /* '*', '%' or '|' */
  bool has_holes;
  int64_t count, taken; /* values, both of a pair */
} RedisOpen;

typedef struct RedisValue {
  lua_State *L;
  const char *at; /* the next value, or the end of the reply */
  unsigned flags;
  const unsigned char *each; /* the flags of the first `eaches` values in the reply, a list */
  unsigned eaches, depth;
  RedisOpen open[REDIS_REPLY_DEPTH];
} RedisValue;

/* Prepares to push the value of the complete reply at `bytes`, which stay where they are. */
void redis_value_begin(RedisValue *v, lua_State *L, const char *bytes, unsigned flags);

/* Goes on, with the stack as the step before has left it, until `*budget` is used up; false then.
   True: the value is pushed. */
bool redis_value_go(RedisValue *v, int64_t *budget);

/* Makes the table on the top of L a list of `count` values. */
void redis_value_count(lua_State *L, int64_t count);

/* Is the reply at `bytes` an error? */
static inline bool redis_value_is_error(const char *bytes) {
  return *bytes == '-' || *bytes == '!';
}

/* Is it null? */
bool redis_value_is_null(const char *bytes);

/* Pushes an error object of kind "redis" for an error reply. Its code is the first word, if that is
   in capitals. `who` ("GET", or "") precedes the message. */
void redis_value_push_error(lua_State *L, const char *text, size_t n, const char *who);

/* The message of the error reply at `bytes`, and its length. */
const char *redis_value_error_text(const char *bytes, size_t *n);

#endif
