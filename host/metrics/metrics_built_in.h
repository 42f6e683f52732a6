/* What the host counts by itself, by the names of OpenTelemetry's semantic conventions where there
   are any; `moonloop_` where there are none. */
#ifndef ML_METRICS_BUILT_IN_H
#define ML_METRICS_BUILT_IN_H

#include "core/pool_source.h"
#include "metrics/metric_exemplar.h"
#include "metrics/metrics.h"

enum { METRICS_REQUESTS_KEPT = 512 };

/* The series of a kind of request, found without a look-up by texts. */
typedef struct MetricsRequest {
  uint64_t kind; /* a hash of what the labels are made of */
  MetricSeries *duration, *received, *sent;
} MetricsRequest;

struct MetricsBuiltIn {
  Metrics *metrics;
  Observer observer;
  /* of requests */
  Metric *request, *active, *received, *sent;
  MetricsRequest requests[METRICS_REQUESTS_KEPT];
  /* of other operations */
  Metric *call, *database, *executor, *executor_wait, *job, *job_wait;
  /* of the process: metrics_beat.c */
  Metric *lag, *blocked, *tasks, *lua_memory, *memory, *descriptors, *cpu;
  Metric *connections, *connections_max, *pending;
  Metric *pool_jobs, *pool_threads;
  unsigned n_pools; /* when they were looked at */
};

/* Defines them, and starts to observe. NULL: memory is out. */
MetricsBuiltIn *metrics_built_in_new(Metrics *metrics);
void metrics_built_in_free(MetricsBuiltIn *b);

/* A series by its values as texts; "" is none. */
MetricSeries *metrics_built_in_series(MetricsBuiltIn *b, Metric *m, const char *const *values);

/* One more value of a histogram; with the trace of `t`, if there is one. */
static inline void metrics_built_in_observe(MetricsBuiltIn *b, const Metric *m, MetricSeries *s,
                                            double value, const Task *t) {
  metric_region_observe(m->about, s, value);
  if (!s->exemplars_at || !t) return;
  ObservedTrace trace;
  if (observe_trace(b->metrics->rt, t, &trace)) metric_exemplar_note(m->about, s, value, &trace);
}

/* --- metrics_built_in_requests.c --- */

/* Observer.ended, of all kinds; requests first, since they are the most. */
void metrics_built_in_ended(Observer *observer, Observation *o);

/* Counts those under way. */
void metrics_built_in_count_active(MetricsBuiltIn *b);

/* --- metrics_built_in_operations.c: all other kinds --- */

void metrics_built_in_count_other(MetricsBuiltIn *b, const Observation *o);

/* --- metrics_built_in_pools.c --- */

void metrics_built_in_look_at_pools(MetricsBuiltIn *b);

#endif
