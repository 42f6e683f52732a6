/* Part of metrics_built_in.h: the figures of pools. */
#include "metrics/metrics_built_in.h"

/* What was shown of a pool that has gone since must not stay. */
static void clear(const Metric *m) {
  for (unsigned i = 0; i < m->n_series; i++) metric_region_set(&m->series[i]->cells[0], 0);
}

static void add(MetricsBuiltIn *b, Metric *m, const char *const *values, double value) {
  metric_region_add(&metrics_built_in_series(b, m, values)->cells[0], value);
}

/* Pools that are called the same are one to those who look. */
static void add_connections(MetricsBuiltIn *b, const PoolFigures *f) {
  const char *system = f->system, *name = f->name;
  add(b, b->connections, (const char *[]){system, name, "idle"}, f->idle);
  add(b, b->connections, (const char *[]){system, name, "used"}, f->used);
  add(b, b->connections_max, (const char *[]){system, name}, f->most);
  add(b, b->pending, (const char *[]){system, name}, f->waiting);
}

void metrics_built_in_look_at_pools(MetricsBuiltIn *b) {
  double queued = 0, running = 0, threads = 0;
  clear(b->connections);
  clear(b->connections_max);
  clear(b->pending);
  for (PoolSource *source = b->metrics->rt->pool_sources; source; source = source->next) {
    PoolFigures f = {0};
    source->figures(source, &f);
    if (f.system) {
      add_connections(b, &f);
      continue;
    }
    queued += f.waiting;
    running += f.used;
    threads += f.most;
  }
  metrics_built_in_set(b, b->pool_jobs, (const char *[]){"queued"}, queued);
  metrics_built_in_set(b, b->pool_jobs, (const char *[]){"running"}, running);
  metrics_built_in_set(b, b->pool_threads, NULL, threads);
}
