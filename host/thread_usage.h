/* What a thread of this process does with its time: it computes, it could compute but other threads
   have the cores, or it is blocked. Linux tells that of any thread: its CPU clock, and in
   /proc/self/task/TID the time it has waited for a core (schedstat) and its state (stat). */
#ifndef ML_THREAD_USAGE_H
#define ML_THREAD_USAGE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* A look at a thread. */
typedef struct ThreadUsage {
  uint64_t at;      /* nanoseconds of uv_hrtime */
  uint64_t cpu;     /* nanoseconds of CPU time so far */
  uint64_t delayed; /* nanoseconds that it has waited for a core so far */
} ThreadUsage;

/* Looks at the thread with this id and CPU clock, which lives. What the system does not tell
   is 0. */
ThreadUsage thread_usage_now(pid_t thread, clockid_t clock);

/* The part of the time between two looks, from 0 to 1, in which the thread had a core or waited for
   one; in the rest it was blocked. One that waits for a core right now counts as if it never was:
   the system adds that wait when it is over. */
double thread_usage_between(const ThreadUsage *since, const ThreadUsage *now, pid_t thread);

#endif
