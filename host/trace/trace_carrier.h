/* The trace of a task as it travels to another thread, which does something for that task: spans
   that are made there are children of the task's, and come back by an outlet. */
#ifndef ML_TRACE_CARRIER_H
#define ML_TRACE_CARRIER_H

#include "trace/trace_outlet.h"
#include "trace/tracer.h"

typedef struct TraceCarrier {
  TracerSettings settings;
  bool has_parent;
  TraceContext parent;
  int64_t day_offset_ns; /* from the system's clock to the time since 1970, if that is sampled */
  size_t state_size;
  char state[]; /* the value of tracestate */
} TraceCarrier;

/* For something that is done for the task, observed by `o` (or NULL). To be freed with
   trace_carrier_free. NULL: nothing is traced, or memory is out. */
TraceCarrier *trace_carrier_new(const Runtime *rt, const Observation *o, const Task *t);

/* On the other thread: `t`, a task there, runs in that trace from now on, and the spans of its
   runtime go to the outlet, unless that has an exporter of its own. NULL: nothing is traced. */
void trace_carrier_enter(const TraceCarrier *carrier, Task *t, TraceOutlet *outlet);

/* NULL is ignored. */
void trace_carrier_free(TraceCarrier *carrier);

#endif
