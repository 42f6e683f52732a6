/* Is a client too slow? This is judged by progress, not by total time: no pause may be longer than
   a timeout, and after that time the bytes must have come at a minimum rate. A byte now and then is
   not enough, but a large body on a slow line is fine. */
#ifndef ML_HTTP_PACE_H
#define ML_HTTP_PACE_H

#include "http/http_limits.h"

/* All zero: nothing is expected. */
typedef struct HttpPace {
  uint64_t since; /* loop milliseconds */
  uint64_t moved; /* bytes since then */
} HttpPace;

/* The time in loop milliseconds by which the next bytes have to move; 0: no limit. `timeout` is in
   milliseconds, `rate` in bytes per second; 0: no limit. Starts to count if it has not yet. */
static inline uint64_t http_pace_deadline(HttpPace *pace, uint64_t now, uint64_t timeout,
                                          uint64_t rate) {
  if (timeout == HTTP_NO_LIMIT) return 0;
  if (!pace->since) *pace = (HttpPace){.since = now};
  uint64_t pause_ends = now + timeout;
  if (!rate) return pause_ends;
  uint64_t too_slow = pace->since + timeout + (uint64_t)((double)pace->moved * 1000 / (double)rate);
  return pause_ends < too_slow ? pause_ends : too_slow;
}

#endif
