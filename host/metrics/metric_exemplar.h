/* Traces as examples of what was counted in a bucket of a histogram. */
#ifndef ML_METRIC_EXEMPLAR_H
#define ML_METRIC_EXEMPLAR_H

#include "core/observe.h"
#include "metrics/metric_region.h"

/* Notes the trace of `t` for the bucket of `value`, in a series with room for that. */
void metric_exemplar_note(const MetricAbout *m, MetricSeries *s, double value, Runtime *rt,
                          const Task *t);

/* One more value of a histogram; with the trace of `t`, if there is one. NULL: nobody's. */
static inline void metric_exemplar_observe(const MetricAbout *m, MetricSeries *s, double value,
                                           Runtime *rt, const Task *t) {
  metric_region_observe(m, s, value);
  if (s->exemplars_at && t) metric_exemplar_note(m, s, value, rt, t);
}

#endif
