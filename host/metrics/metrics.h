/* The metrics of a runtime: those of its scripts, and the host's own once somebody asks for them.

   Where there are worker processes, their metrics are in memory that all of them and the supervisor
   share (metric_share.h): each writes its own region, and whoever is asked reads all. */
#ifndef ML_METRICS_H
#define ML_METRICS_H

#include "base/buffer.h"
#include "core/observe.h"
#include "metrics/metric_share.h"
#include "metrics/metric_store.h"

typedef struct MetricsBuiltIn MetricsBuiltIn;

struct Metrics {
  Runtime *rt;
  MetricStore *store;
  const MetricShare *share; /* or NULL: this process is the only one */
  CloseHook close;
  MetricsBuiltIn *built_in; /* metrics_built_in.h; NULL: nobody has asked for them */
  uv_timer_t beat;          /* writes down what is not counted as it happens (metrics_beat.c) */
  bool beats;
  unsigned n_beats;
  uint64_t beat_due;      /* uv_hrtime */
  double lag, lag_before; /* the longest of this period and of the one before */
  uint64_t period_began;
};
typedef struct Metrics Metrics;

/* Those of the runtime, made at first use; NULL: memory is out. */
Metrics *metrics_of(Runtime *rt);

/* This process is one of several: before the first use. The caller keeps `share`. */
void metrics_set_share(Runtime *rt, const MetricShare *share);

/* Counts from now on what the host knows, too. False: memory is out. */
bool metrics_observe(Metrics *metrics);

/* Appends the metrics of all processes, as text. False: memory is out. */
bool metrics_write(Metrics *metrics, Buffer *out, bool open);

/* --- metrics_beat.c --- */

/* From now on gauges are written down every now and then, so that others can read them, and the
   loop's lag is measured. Does not keep the loop alive. Returns 0 or a libuv error. */
int metrics_beat_start(Metrics *metrics);
void metrics_beat_stop(Metrics *metrics);

/* Writes them down now. */
void metrics_beat_sample(Metrics *metrics);

#endif
