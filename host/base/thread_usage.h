/* How a thread of this process spends its time: it computes, it waits for a core that other threads
   have, or it is blocked. Linux tells this for any thread by its CPU clock, and in
   /proc/self/task/TID by the time it has waited for a core (schedstat) and its state (stat). */
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

/* Looks at the live thread with this id and CPU clock. Figures that the system does not provide are
   0. */
ThreadUsage thread_usage_now(pid_t thread, clockid_t clock);

/* The fraction of the time between two looks, from 0 to 1, in which the thread had a core or waited
   for one; in the rest it was blocked. A thread that is waiting for a core right now counts as
   never blocked, since the system adds that wait only when it is over. */
double thread_usage_between(const ThreadUsage *since, const ThreadUsage *now, pid_t thread);

#endif
