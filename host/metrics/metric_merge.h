/* Several processes' metrics as one. */
#ifndef ML_METRIC_MERGE_H
#define ML_METRIC_MERGE_H

#include "metrics/metric_store.h"

/* Adds what is in a region, of which `size` bytes are mapped, to the store: counters and histograms
   are summed up, gauges as they say; without `gauges`, these are left out: their process is gone. A
   metric that is something else in the store is left out.
   A loop that has not turned for longer than it should is seen here: its lag grows. `now`:
   CLOCK_MONOTONIC in nanoseconds. False: memory is out. Another process may write to the region
   meanwhile, whatever it likes. */
bool metric_merge_region(MetricStore *into, const MetricRegion *region, size_t size, bool gauges,
                         uint64_t now);

/* The name of the gauge of the loop's lag. */
#define METRIC_MERGE_LAG "moonloop_loop_lag_seconds"

#endif
