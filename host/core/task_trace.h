/* What a task belongs to in a trace: a span of host/trace, which the tasks that it starts inherit.
   The core keeps references, and knows nothing else of it. */
#ifndef ML_TASK_TRACE_H
#define ML_TASK_TRACE_H

#include <stdint.h>

/* Embedded in the span. */
typedef struct TaskTrace {
  uint32_t users;
  void (*free)(struct TaskTrace *trace); /* the last user has gone */
} TaskTrace;

static inline TaskTrace *task_trace_hold(TaskTrace *trace) {
  if (trace) trace->users++;
  return trace;
}

/* NULL is ignored. */
static inline void task_trace_drop(TaskTrace *trace) {
  if (trace && --trace->users == 0) trace->free(trace);
}

/* Makes `trace` (or NULL), whose reference the place takes over, what is at `place`. */
static inline void task_trace_replace(TaskTrace **place, TaskTrace *trace) {
  TaskTrace *before = *place;
  *place = trace;
  task_trace_drop(before);
}

#endif
