/* What a client may do that costs the server work and gets nobody anywhere: an allowance that fills
   up again with time. */
#ifndef ML_HTTP2_GUARD_H
#define ML_HTTP2_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum {
  HTTP2_ALLOWANCE = 2000,        /* at most */
  HTTP2_ALLOWANCE_A_SECOND = 200 /* what it grows by */
};

/* What each costs. So 200 streams may be cancelled at once, and 20 a second from then on. */
typedef enum Http2Cost {
  HTTP2_COST_FRAME = 1,    /* a PING, a frame without data, a priority, one of an unknown type */
  HTTP2_COST_SETTINGS = 5, /* is to be acknowledged, and may change all windows */
  HTTP2_COST_STREAM = 10,  /* a stream that was cancelled, refused or reset for a mistake */
  HTTP2_COST_BOMB = 200    /* headers far beyond the limit */
} Http2Cost;

/* All zero: full. */
typedef struct Http2Guard {
  uint32_t used;
  uint64_t since; /* loop milliseconds of the last look */
} Http2Guard;

/* Takes from the allowance. False: it is used up. `now` in loop milliseconds. */
static inline bool http2_guard_take(Http2Guard *g, uint64_t now, Http2Cost cost) {
  uint64_t grown = (now - g->since) * HTTP2_ALLOWANCE_A_SECOND / 1000;
  if (grown) {
    g->used = grown < g->used ? g->used - (uint32_t)grown : 0;
    g->since = now;
  }
  if (g->used < HTTP2_ALLOWANCE) g->used += cost;
  return g->used < HTTP2_ALLOWANCE;
}

#endif
