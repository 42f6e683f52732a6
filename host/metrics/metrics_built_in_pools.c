/* Part of metrics_built_in.h: the figures of pools. */
#include "metrics/metrics_built_in.h"

#include <string.h>

typedef enum Figure { IDLE, USED, MOST, WAITING, FIGURES } Figure;

static bool is_same(const PoolFigures *a, const PoolFigures *b) {
  return a->system && b->system && !strcmp(a->system, b->system) && !strcmp(a->name, b->name);
}

/* Of all pools that are called the same. */
static void sum_up(Runtime *rt, const PoolFigures *of, double sums[static FIGURES]) {
  for (PoolSource *source = rt->pool_sources; source; source = source->next) {
    PoolFigures f = {0};
    source->figures(source, &f);
    if (!is_same(of, &f)) continue;
    sums[IDLE] += f.idle;
    sums[USED] += f.used;
    sums[MOST] += f.most;
    sums[WAITING] += f.waiting;
  }
}

static void set(MetricsBuiltIn *b, Metric *m, const char *const *values, double value) {
  metric_region_set(&metrics_built_in_series(b, m, values)->cells[0], value);
}

static void show(MetricsBuiltIn *b, const PoolFigures *f) {
  double sums[FIGURES] = {0};
  const char *system = f->system, *name = f->name;
  sum_up(b->metrics->rt, f, sums);
  set(b, b->connections, (const char *[]){system, name, "idle"}, sums[IDLE]);
  set(b, b->connections, (const char *[]){system, name, "used"}, sums[USED]);
  set(b, b->connections_max, (const char *[]){system, name}, sums[MOST]);
  set(b, b->pending, (const char *[]){system, name}, sums[WAITING]);
}

/* A pool has gone. */
static void clear(const Metric *m) {
  for (unsigned i = 0; i < m->n_series; i++) metric_region_set(&m->series[i]->cells[0], 0);
}

void metrics_built_in_look_at_pools(MetricsBuiltIn *b) {
  double queued = 0, running = 0, threads = 0;
  unsigned n = 0;
  Runtime *rt = b->metrics->rt;
  for (PoolSource *source = rt->pool_sources; source; source = source->next) n++;
  if (n < b->n_pools) {
    clear(b->connections);
    clear(b->connections_max);
    clear(b->pending);
  }
  b->n_pools = n;
  for (PoolSource *source = rt->pool_sources; source; source = source->next) {
    PoolFigures f = {0};
    source->figures(source, &f);
    if (f.system) {
      show(b, &f);
      continue;
    }
    queued += f.waiting;
    running += f.used;
    threads += f.most;
  }
  set(b, b->pool_jobs, (const char *[]){"queued"}, queued);
  set(b, b->pool_jobs, (const char *[]){"running"}, running);
  set(b, b->pool_threads, NULL, threads);
}
