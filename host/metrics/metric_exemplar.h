/* Traces as examples of what was counted in a bucket of a histogram. */
#ifndef ML_METRIC_EXEMPLAR_H
#define ML_METRIC_EXEMPLAR_H

#include "core/observe.h"
#include "metrics/metric_region.h"

/* Notes the trace for the bucket of `value`, where the series has room for that. */
void metric_exemplar_note(const MetricAbout *m, MetricSeries *s, double value,
                          const ObservedTrace *trace);

#endif
