/* The metrics of one writer: what is in its region, and where. Everything is found by name; series
   by the values of their labels. */
#ifndef ML_METRIC_STORE_H
#define ML_METRIC_STORE_H

#include "metrics/metric_region.h"

typedef struct MetricText {
  const char *at;
  size_t len;
} MetricText;

/* What a metric is. Names and labels have been checked (metric_store_is_name). */
typedef struct MetricSpec {
  MetricType type;
  MetricAcross across;
  const char *name, *help;
  unsigned n_labels, n_buckets;
  const char *labels[METRIC_LABELS_MAX];
  const double *buckets; /* ascending, finite */
} MetricSpec;

typedef struct Metric {
  const MetricAbout *about;
  uint32_t offset; /* of it, in the region */
  unsigned n_series, cap;
  MetricSeries **series; /* in the order they came */
  double *sums;          /* one for each, where a gauge is added up before it is set */
  MetricSeries *other;   /* has what is beyond METRIC_SERIES_MAX; or NULL, it may also be one of
                            `series` */
} Metric;

typedef struct MetricStore MetricStore;

/* A store that writes to `region` of `size` bytes, which is empty, and stays the caller's; NULL
   region: memory of its own. NULL if memory is out. */
MetricStore *metric_store_new(MetricRegion *region, size_t size);
void metric_store_free(MetricStore *store);

MetricRegion *metric_store_region(const MetricStore *store);

/* The metric of that name, made if there is none. NULL: there is one with the name that is
   something else (*other is it), or no room (*other is NULL). */
Metric *metric_store_define(MetricStore *store, const MetricSpec *spec, const Metric **other);

/* The series with these values, one for each label, made if there is none: "other" for each label
   where there are METRIC_SERIES_MAX. Values are cut, and what is no UTF-8 is replaced. Never NULL:
   where there is no room, one that is not in the region. `with_exemplars`: a new one of a histogram
   has room for them. */
MetricSeries *metric_store_series(MetricStore *store, Metric *m, const MetricText *values,
                                  bool with_exemplars);

/* Are these `n` bytes among its records? Where a series begins it has itself; what the series says
   of its parts, others may have written. */
bool metric_store_holds(const MetricStore *store, const void *at, size_t n);

/* All metrics, in the order they came. */
Metric *const *metric_store_all(const MetricStore *store, unsigned *n);

/* How often there was no room for a series. */
uint64_t metric_store_lost(const MetricStore *store);

/* Of a metric: its name, its help, the names of its labels. */
const char *metric_store_name(const MetricAbout *m);
const char *metric_store_help(const MetricAbout *m);
const char *metric_store_label(const MetricAbout *m, unsigned i);

/* The values of the labels of a series. */
void metric_store_values(const MetricAbout *m, const MetricSeries *s,
                         MetricText values[static METRIC_LABELS_MAX]);

/* May a metric, or with `label` a label, have this name? */
bool metric_store_is_name(const char *name, bool label);

#endif
