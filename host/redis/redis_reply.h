/* Finds the replies of a Redis server (RESP2 and RESP3) in a stream of bytes, however it is split.
   Nothing here allocates. redis_value.h turns replies into values. */
#ifndef ML_REDIS_REPLY_H
#define ML_REDIS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  REDIS_REPLY_DEPTH = 32,         /* nesting of lists; deeper is refused */
  REDIS_REPLY_MAX_LINE = 64 << 10 /* bytes of a status or error line */
};

/* Largest reply, in bytes. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define REDIS_REPLY_MAX ((size_t)1 << 20)
#else
#define REDIS_REPLY_MAX ((size_t)1 << 30)
#endif

typedef enum RedisReplyStep { REDIS_REPLY_MORE, REDIS_REPLY_WHOLE, REDIS_REPLY_BAD } RedisReplyStep;

/* How far a reply has been scanned. All zero (except `left`) at the start of one. */
typedef struct RedisReply {
  size_t at;         /* where its next value begins; its length once complete */
  size_t looked;     /* no line ends before this offset */
  size_t wants;      /* bytes known to be missing: how much room to make */
  const char *error; /* what is wrong, after REDIS_REPLY_BAD */
  unsigned depth;
  uint64_t left[REDIS_REPLY_DEPTH]; /* values missing at each level */
} RedisReply;

/* Begins the next reply. */
static inline void redis_reply_begin(RedisReply *r) {
  r->at = r->looked = r->wants = 0; /* `left` is large, and unused at depth 0 */
  r->depth = 0;
}

/* Continues the scan. `bytes[0..n)` is what has arrived of the reply, from its start, a longer
   prefix at each call. When WHOLE, its length is in `at`. */
RedisReplyStep redis_reply_scan(RedisReply *r, const char *bytes, size_t n);

/* The string whose `wants` bytes were missing is over, without having been looked at: the next
   value begins at 0. Is the reply over, too? */
bool redis_reply_pass_string(RedisReply *r);

/* The number in a valid header line, such as "$12\r\n", given from behind its type. */
int64_t redis_reply_number(const char *digits);

#endif
