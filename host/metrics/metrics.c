#include "metrics/metrics.h"

#include "metrics/metric_text.h"
#include "metrics/metrics_built_in.h"

#include <stdlib.h>

/* The runtime's memory is about to go: nothing of Lua's is left that could count. */
static void free_metrics(Metrics *metrics) {
  metric_store_free(metrics->store);
  free(metrics);
}

static void close_metrics(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Metrics *metrics = container_of(hook, Metrics, close);
  metrics_beat_stop(metrics);
  if (metrics->built_in) metrics_built_in_free(metrics->built_in);
  metrics->built_in = NULL;
}

void metrics_set_share(Runtime *rt, const MetricShare *share) { rt->metric_share = share; }

static MetricStore *store_of(const Runtime *rt) {
  if (!rt->metric_share) return metric_store_new(NULL, 0);
  MetricRegion *region = metric_share_own(rt->metric_share);
  return region ? metric_store_new(region, METRIC_REGION) : NULL;
}

Metrics *metrics_of(Runtime *rt) {
  if (rt->metrics) return rt->metrics;
  Metrics *metrics = calloc(1, sizeof *metrics);
  if (metrics) metrics->store = store_of(rt);
  if (!metrics || !metrics->store) {
    free(metrics);
    return NULL;
  }
  metrics->rt = rt;
  metrics->share = rt->metric_share;
  metrics->close.close = close_metrics;
  ml_runtime_on_close(rt, &metrics->close);
  rt->metrics = metrics;
  rt->free_metrics = free_metrics;
  return metrics;
}

bool metrics_observe(Metrics *metrics) {
  if (!metrics->built_in) metrics->built_in = metrics_built_in_new(metrics);
  if (metrics->built_in && metrics->share) metrics_beat_start(metrics);
  return metrics->built_in != NULL;
}

bool metrics_write(Metrics *metrics, Buffer *out, bool open) {
  if (metrics->built_in) metrics_beat_sample(metrics);
  if (!metrics->share) return metric_text_write(out, metrics->store, open);
  MetricStore *all = metric_share_collect(metrics->share);
  bool ok = all && metric_text_write(out, all, open);
  metric_store_free(all);
  return ok;
}
