#include "metrics/metric_merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Would its text be one that a collector reads? */
static bool is_well_named(const MetricAbout *m) {
  bool ok = metric_store_is_name(metric_store_name(m), false);
  for (unsigned i = 0; i < m->n_labels; i++)
    ok = ok && metric_store_is_name(metric_store_label(m, i), true);
  return ok;
}

/* The metric of `into` that is the same; NULL: there is none, or another one has its name. */
static Metric *counterpart(MetricStore *into, const MetricAbout *m) {
  if (!is_well_named(m)) return NULL;
  MetricSpec spec = {.type = m->type,
                     .across = m->across,
                     .name = metric_store_name(m),
                     .help = metric_store_help(m),
                     .n_labels = m->n_labels,
                     .n_buckets = m->n_buckets,
                     .buckets = m->buckets};
  for (unsigned i = 0; i < m->n_labels; i++) spec.labels[i] = metric_store_label(m, i);
  const Metric *other;
  return metric_store_define(into, &spec, &other);
}

static void merge_gauge(const MetricAbout *m, MetricSeries *to, double value, bool is_new) {
  double old = metric_region_double(metric_region_load(&to->cells[0]));
  if (is_new || (m->across == METRIC_MAX && !(value < old)) ||
      (m->across == METRIC_MIN && !(value > old)))
    metric_region_set(&to->cells[0], value);
  else if (m->across == METRIC_SUM)
    metric_region_set(&to->cells[0], old + value);
}

/* What is read after it comes from after it: the version, once more. */
static uint64_t acquired(const _Atomic uint64_t *cell) {
  return atomic_load_explicit(cell, memory_order_acquire);
}

/* The newer one, unless it is being written. */
static void merge_exemplar(MetricExemplar *to, const MetricExemplar *from) {
  uint64_t version = atomic_load_explicit(&from->version, memory_order_acquire);
  if (version % 2 || !version) return;
  uint64_t copy[5] = {acquired(&from->trace[0]), acquired(&from->trace[1]), acquired(&from->span),
                      acquired(&from->value), acquired(&from->when)};
  if (metric_region_load(&from->version) != version) return;
  double when = metric_region_double(copy[4]);
  if (metric_region_load(&to->version) &&
      !(when > metric_region_double(metric_region_load(&to->when))))
    return;
  metric_region_store(&to->trace[0], copy[0]);
  metric_region_store(&to->trace[1], copy[1]);
  metric_region_store(&to->span, copy[2]);
  metric_region_store(&to->value, copy[3]);
  metric_region_store(&to->when, copy[4]);
  metric_region_store(&to->version, 2);
}

/* `live` is `from`, where its process writes it. */
static void merge_histogram(const MetricAbout *m, MetricSeries *to, const MetricSeries *from,
                            const MetricSeries *live) {
  for (unsigned i = 0; i <= m->n_buckets; i++)
    metric_region_count(&to->cells[i], metric_region_load(&from->cells[i]));
  metric_region_add(&to->cells[m->n_buckets + 1],
                    metric_region_double(metric_region_load(&from->cells[m->n_buckets + 1])));
  if (!from->exemplars_at || !to->exemplars_at) return;
  const MetricExemplar *examples = (const void *)((const char *)live + from->exemplars_at);
  MetricExemplar *others = (void *)((char *)to + to->exemplars_at);
  for (unsigned i = 0; i <= m->n_buckets; i++) merge_exemplar(&others[i], &examples[i]);
}

/* How long its loop has been late by now. */
static double lag_of(const MetricRegion *region, uint64_t now) {
  uint64_t beat = metric_region_load(&region->beat), beats = metric_region_load(&region->beats);
  return beat && now > beat + 2 * beats ? 1e-9 * (double)(now - beat - beats) : 0;
}

static void merge_series(MetricStore *into, const MetricRegion *region, const MetricAbout *m,
                         const MetricSeries *from, const MetricSeries *live, uint64_t now) {
  Metric *metric = counterpart(into, m);
  if (!metric) return;
  MetricText values[METRIC_LABELS_MAX];
  metric_store_values(m, from, values);
  unsigned before = metric->n_series;
  MetricSeries *to = metric_store_series(into, metric, values, from->exemplars_at != 0);
  uint64_t cell = metric_region_load(&from->cells[0]);
  if (m->type == METRIC_HISTOGRAM) {
    merge_histogram(m, to, from, live);
  } else if (m->type == METRIC_COUNTER) {
    metric_region_add(&to->cells[0], metric_region_double(cell));
  } else {
    double value = metric_region_double(cell);
    if (!strcmp(metric_store_name(m), METRIC_MERGE_LAG)) value = fmax(value, lag_of(region, now));
    merge_gauge(m, to, value, metric->n_series > before);
  }
}

bool metric_merge_region(MetricStore *into, const MetricRegion *region, size_t size, bool gauges,
                         uint64_t now) {
  size_t used = metric_region_used(region, size), at = sizeof *region;
  if (!used) return true;
  unsigned n_metrics = 0; /* each is there once, unless somebody wants to keep us busy */
  MetricRegion *copy = metric_region_copy(region, used);
  if (!copy) return false;
  for (const MetricRecord *r; (r = metric_region_next(copy, used, &at));) {
    if (r->kind == METRIC_RECORD_METRIC) {
      if (++n_metrics > METRIC_METRICS_MAX) break;
      if (gauges || ((const MetricAbout *)r)->type != METRIC_GAUGE)
        counterpart(into, (const void *)r);
      continue;
    }
    const MetricSeries *s = (const void *)r;
    const void *live = (const char *)region + ((const char *)s - (const char *)copy);
    const MetricAbout *m = metric_region_metric(copy, used, s);
    if (gauges || m->type != METRIC_GAUGE) merge_series(into, region, m, s, live, now);
  }
  free(copy);
  return true;
}
