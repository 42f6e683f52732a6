/* What the host counts by itself, by the names of OpenTelemetry's semantic conventions where there
   are any; `moonloop_` where there are none. */
#ifndef ML_METRICS_BUILT_IN_H
#define ML_METRICS_BUILT_IN_H

#include "core/pool_source.h"
#include "metrics/metrics.h"

enum { METRICS_REQUESTS_KEPT = 512 };

/* The series of a kind of request, found without a look-up by texts. */
typedef struct MetricsRequest {
  uint64_t kind; /* a hash of what the labels are made of; 0: none is kept here */
  MetricSeries *duration, *received, *sent;
} MetricsRequest;

struct MetricsBuiltIn {
  Metrics *metrics;
  Observer observer;
  /* of requests */
  Metric *request, *active, *received, *sent, *limited;
  MetricsRequest requests[METRICS_REQUESTS_KEPT];
  /* of other operations */
  Metric *call, *database, *executor, *executor_wait, *job, *job_wait, *sent_jobs, *consumed_jobs;
  /* of the process: metrics_beat.c */
  Metric *lag, *blocked, *tasks, *lua_memory, *memory, *descriptors, *cpu;
  Metric *connections, *connections_max, *pending;
  Metric *pool_jobs, *pool_threads;
};

/* Defines them, and starts to observe. NULL: memory is out. */
MetricsBuiltIn *metrics_built_in_new(Metrics *metrics);
void metrics_built_in_free(MetricsBuiltIn *b);

/* A series by its values as texts; "" is none. */
MetricSeries *metrics_built_in_series(MetricsBuiltIn *b, Metric *m, const char *const *values);

/* Sets a gauge, or a counter of the system's. */
static inline void metrics_built_in_set(MetricsBuiltIn *b, Metric *m, const char *const *values,
                                        double value) {
  metric_region_set(&metrics_built_in_series(b, m, values)->cells[0], value);
}

static inline void metrics_built_in_add(MetricsBuiltIn *b, Metric *m, const char *const *values,
                                        double value) {
  metric_region_add(&metrics_built_in_series(b, m, values)->cells[0], value);
}

/* --- a gauge that is added up anew: what has gone since must not stay, and another process that
   looks at it meanwhile must not see a part of it --- */

static inline void metrics_built_in_sum_begin(const Metric *m) {
  for (unsigned i = 0; i < m->n_series; i++) m->sums[i] = 0;
}

static inline void metrics_built_in_sum_add(MetricsBuiltIn *b, Metric *m, const char *const *values,
                                            double value) {
  const MetricSeries *s = metrics_built_in_series(b, m, values);
  for (unsigned i = 0; i < m->n_series; i++)
    if (m->series[i] == s) m->sums[i] += value;
}

static inline void metrics_built_in_sum_end(const Metric *m) {
  for (unsigned i = 0; i < m->n_series; i++) metric_region_set(&m->series[i]->cells[0], m->sums[i]);
}

/* --- metrics_built_in_requests.c --- */

/* Observer.ended, of all kinds; requests first, since they are the most. */
void metrics_built_in_ended(Observer *observer, Observation *o);

/* Counts those under way. */
void metrics_built_in_count_active(MetricsBuiltIn *b);

/* --- metrics_built_in_operations.c: all other kinds --- */

void metrics_built_in_count_other(MetricsBuiltIn *b, const Observation *o);

/* Counts a job that was pushed or, unless `is_sent`, is given to the application to run. `error`:
   the kind of what kept it from being pushed, or NULL. */
void metrics_built_in_count_message(MetricsBuiltIn *b, bool is_sent, const char *queue,
                                    const char *name, const char *error);

/* --- metrics_built_in_pools.c --- */

void metrics_built_in_look_at_pools(MetricsBuiltIn *b);

#endif
