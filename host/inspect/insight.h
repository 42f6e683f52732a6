/* What `serve --inspect` keeps of a process beside its tasks, for the page: what has held up the
   loop, its requests, and, while a page is open, how late the loop is. */
#ifndef ML_INSIGHT_H
#define ML_INSIGHT_H

#include "base/buffer.h"
#include "core/held_up.h"
#include "core/runtime.h"
#include "inspect/traffic.h"

typedef struct Insight {
  Runtime *rt;
  HeldUps held_ups;
  Traffic traffic;
  uv_timer_t lag;            /* active while it is asked */
  uint64_t asked_at, due_at; /* uv_hrtime */
  uint64_t lag_ns;           /* the longest since it was asked last */
  bool has_lag;              /* it was measured since */
  Buffer queues;             /* of jobs, as a list in JSON; empty: not known */
  Waker watcher;             /* who waits until a page asks; no task: nobody */
} Insight;

/* What a page knows already. */
typedef struct InsightSince {
  uint64_t held_up, request; /* the numbers of a report, and of a request that is over */
  unsigned most;             /* requests that it takes */
} InsightSince;

/* Starts to keep it. NULL if memory is out. */
Insight *insight_new(Runtime *rt);

/* Appends members of a JSON object, with what a page does not know yet. */
void insight_write(Insight *insight, const InsightSince *since, Buffer *out);

/* Is a page open? */
static inline bool insight_is_watched(const Insight *insight) {
  return uv_is_active((const uv_handle_t *)&insight->lag);
}

/* What pages are told of the queues of jobs, a list in JSON, until no page is open any more. */
void insight_set_queues(Insight *insight, const char *json, size_t n);

/* Ends it, while the runtime closes: its memory is freed when its handle is closed. */
void insight_close(Insight *insight);

#endif
