/* The clock of a runtime: the machine's monotonic one, or for specs a virtual one. */
#ifndef ML_CLOCK_H
#define ML_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <uv.h>

typedef struct Clock {
  uint64_t ahead;  /* while it runs: nanoseconds ahead of uv_hrtime, modulo 2^64 */
  uint64_t shows;  /* while it is stopped: the time it shows */
  bool stopped;    /* only virtual clocks are ever stopped */
  bool is_virtual; /* see virtual_clock.h */
  int64_t to_day;  /* of a virtual clock: from what it shows to nanoseconds since 1970 */
} Clock;

/* The time it shows, in nanoseconds. Never goes back. */
static inline uint64_t clock_now(const Clock *clock) {
  return clock->stopped ? clock->shows : uv_hrtime() + clock->ahead;
}

/* The clock's time for a time of uv_hrtime, and the other way round. */
static inline uint64_t clock_at(const Clock *clock, uint64_t hrtime) {
  return clock->stopped ? clock->shows : hrtime + clock->ahead;
}

/* Nanoseconds as seconds for scripts. Those of a virtual clock are rounded up to multiples of 2^-28
   s, so that in the clock's first year differences of whole seconds, halves, quarters and so on
   down to 2^-9 s are exact, unlike doubles of nanoseconds. */
static inline double clock_seconds(const Clock *clock) {
  uint64_t now = clock_now(clock);
  if (!clock->is_virtual) return (double)now / 1e9;
  uint64_t parts = ((now % 1000000000u << 28) + 999999999u) / 1000000000u;
  return (double)(now / 1000000000u) + (double)parts / (1 << 28);
}

/* Nanoseconds since 1970: the machine's time of day. That of a virtual clock begins there, goes as
   the clock does, and never back. */
static inline int64_t clock_day_time(const Clock *clock) {
  if (clock->is_virtual) return (int64_t)clock_now(clock) + clock->to_day;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The same in whole seconds. */
static inline int64_t clock_day_seconds(const Clock *clock) {
  return clock_day_time(clock) / 1000000000;
}

/* Stops it: it shows the current time until clock_go. */
static inline void clock_stop(Clock *clock) {
  clock->shows = clock_now(clock);
  clock->stopped = true;
}

/* Lets a stopped clock continue from the time it shows. */
static inline void clock_go(Clock *clock) {
  clock->stopped = false;
  clock->ahead = clock->shows - uv_hrtime();
}

/* CPU time that this thread has used, in nanoseconds. Safe in signal handlers (POSIX). */
static inline uint64_t clock_thread_cpu(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

#endif
