/* The clock of a runtime: the machine's monotonic one, or for specs a virtual one. */
#ifndef ML_CLOCK_H
#define ML_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <uv.h>

typedef struct Clock {
  uint64_t ahead;  /* while it runs: nanoseconds that it is ahead of uv_hrtime, modulo 2^64 */
  uint64_t shows;  /* while it is stopped: what it shows */
  bool stopped;    /* only a virtual one is */
  bool is_virtual; /* see virtual_clock.h */
} Clock;

/* What it shows, in nanoseconds. Never goes back. */
static inline uint64_t clock_now(const Clock *clock) {
  return clock->stopped ? clock->shows : uv_hrtime() + clock->ahead;
}

/* The clock's time for a time of uv_hrtime, and the other way round. */
static inline uint64_t clock_at(const Clock *clock, uint64_t hrtime) {
  return clock->stopped ? clock->shows : hrtime + clock->ahead;
}

/* Stops it: it shows the present time until clock_go. */
static inline void clock_stop(Clock *clock) {
  clock->shows = clock_now(clock);
  clock->stopped = true;
}

/* Lets a stopped clock run on from what it shows. */
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
