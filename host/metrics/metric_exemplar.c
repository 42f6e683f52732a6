#include "metrics/metric_exemplar.h"

#include "metrics/metrics.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t hex(const char *digits) {
  char part[17];
  memcpy(part, digits, 16);
  part[16] = 0;
  return strtoull(part, NULL, 16);
}

/* Who sees this sees that the version is odd. */
static void release(_Atomic uint64_t *cell, uint64_t bits) {
  atomic_store_explicit(cell, bits, memory_order_release);
}

void metric_exemplar_note(const MetricAbout *m, MetricSeries *s, double value, Runtime *rt,
                          const Task *t) {
  ObservedTrace trace;
  if (!observe_trace(rt, t, &trace) || !rt->metrics) return;
  MetricExemplar *e =
      (MetricExemplar *)((char *)s + s->exemplars_at) + metric_region_bucket(m, value);
  if (!metric_store_holds(rt->metrics->store, e, sizeof *e)) return;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  uint64_t version = metric_region_load(&e->version);
  metric_region_store(&e->version, version + 1);
  release(&e->trace[0], hex(trace.trace_id));
  release(&e->trace[1], hex(trace.trace_id + 16));
  release(&e->span, hex(trace.span_id));
  release(&e->value, metric_region_bits(value));
  release(&e->when, metric_region_bits((double)now.tv_sec + 1e-9 * (double)now.tv_nsec));
  atomic_store_explicit(&e->version, version + 2, memory_order_release);
}
