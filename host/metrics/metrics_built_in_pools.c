/* Part of metrics_built_in.h: the figures of pools. */
#include "metrics/metrics_built_in.h"

/* Pools that are called the same are one to those who look. */
static void add_connections(MetricsBuiltIn *b, const PoolFigures *f) {
  const char *system = f->system, *name = f->name;
  metrics_built_in_sum_add(b, b->connections, (const char *[]){system, name, "idle"}, f->idle);
  metrics_built_in_sum_add(b, b->connections, (const char *[]){system, name, "used"}, f->used);
  metrics_built_in_sum_add(b, b->connections_max, (const char *[]){system, name}, f->most);
  metrics_built_in_sum_add(b, b->pending, (const char *[]){system, name}, f->waiting);
}

void metrics_built_in_look_at_pools(MetricsBuiltIn *b) {
  double queued = 0, running = 0, threads = 0;
  metrics_built_in_sum_begin(b->connections);
  metrics_built_in_sum_begin(b->connections_max);
  metrics_built_in_sum_begin(b->pending);
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
  metrics_built_in_sum_end(b->connections);
  metrics_built_in_sum_end(b->connections_max);
  metrics_built_in_sum_end(b->pending);
  metrics_built_in_set(b, b->pool_jobs, (const char *[]){"queued"}, queued);
  metrics_built_in_set(b, b->pool_jobs, (const char *[]){"running"}, running);
  metrics_built_in_set(b, b->pool_threads, NULL, threads);
}
