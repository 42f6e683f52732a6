#include "metrics/metric_region.h"

#include <stdlib.h>
#include <string.h>

void metric_region_open(MetricRegion *region) {
  metric_region_store(&region->used, sizeof *region);
  atomic_store_explicit(&region->magic, METRIC_MAGIC, memory_order_release);
}

size_t metric_region_used(const MetricRegion *region, size_t size) {
  if (atomic_load_explicit(&region->magic, memory_order_acquire) != METRIC_MAGIC) return 0;
  uint64_t used = atomic_load_explicit(&region->used, memory_order_acquire);
  if (used > size) used = size;
  return used < sizeof *region ? 0 : (size_t)used & ~(size_t)7;
}

MetricRegion *metric_region_copy(const MetricRegion *region, size_t used) {
  MetricRegion *copy = malloc(used);
  const _Atomic uint64_t *from = (const void *)region;
  _Atomic uint64_t *to = (void *)copy;
  for (size_t i = 0; copy && i < used / sizeof *from; i++)
    metric_region_store(&to[i], metric_region_load(&from[i]));
  return copy;
}

static const MetricRecord *record_at(const MetricRegion *region, size_t used, size_t offset) {
  if (offset % 8 || offset < sizeof *region || offset + sizeof(MetricRecord) > used) return NULL;
  const MetricRecord *r = (const void *)((const char *)region + offset);
  if (r->size < sizeof *r || r->size % 8 || r->size > used - offset) return NULL;
  return r;
}

/* Do its texts end where they should? */
static bool is_metric(const MetricRecord *r) {
  const MetricAbout *m = (const void *)r;
  if (r->kind != METRIC_RECORD_METRIC || r->size < sizeof *m) return false;
  if (m->type >= METRIC_TYPES || m->across >= METRIC_ACROSS || m->n_labels > METRIC_LABELS_MAX ||
      m->n_buckets > METRIC_BUCKETS_MAX ||
      m->texts_at != sizeof *m + m->n_buckets * sizeof(double) || m->texts_at > r->size)
    return false;
  const char *text = (const char *)r + m->texts_at, *end = (const char *)r + r->size;
  for (unsigned i = 0; i < 2u + m->n_labels; i++) {
    text = memchr(text, 0, (size_t)(end - text));
    if (!text) return false;
    text++;
  }
  return true;
}

static bool is_series(const MetricSeries *s, const MetricAbout *m) {
  size_t at = sizeof *s + metric_region_cells(m) * sizeof(uint64_t);
  if (s->values_at != at || s->values_at + (size_t)s->values_len > s->record.size) return false;
  const unsigned char *p = (const unsigned char *)s + s->values_at, *end = p + s->values_len;
  for (unsigned i = 0; i < m->n_labels; i++) {
    if (end - p < 2) return false;
    size_t len = (size_t)(p[0] | p[1] << 8);
    if ((size_t)(end - p - 2) < len) return false;
    p += 2 + len;
  }
  size_t exemplars = s->exemplars_at;
  return p == end && (!exemplars ||
                      (exemplars % 8 == 0 &&
                       exemplars + (m->n_buckets + 1u) * sizeof(MetricExemplar) <= s->record.size));
}

const MetricAbout *metric_region_metric(const MetricRegion *region, size_t used,
                                        const MetricSeries *s) {
  const MetricRecord *r = record_at(region, used, s->metric);
  return r && is_metric(r) ? (const void *)r : NULL;
}

const MetricRecord *metric_region_next(const MetricRegion *region, size_t used, size_t *offset) {
  const MetricRecord *r = record_at(region, used, *offset);
  if (!r) return NULL;
  *offset += r->size;
  if (r->kind == METRIC_RECORD_METRIC) return is_metric(r) ? r : NULL;
  if (r->kind != METRIC_RECORD_SERIES || r->size < sizeof(MetricSeries)) return NULL;
  const MetricSeries *s = (const void *)r;
  const MetricAbout *m = metric_region_metric(region, used, s);
  return m && is_series(s, m) ? r : NULL;
}
